/// How the values of an outward topic are written. Whoever reads them here reads both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outward {
    /// One JSON object with the fields of the schema.
    #[default]
    Json,
    /// Confluent's frame and then the Avro datum: what the usual readers of Avro on Kafka expect.
    ConfluentAvro {
        /// The id under which a registry knows the topic's schema.
        schema_id: u32,
    },
}
