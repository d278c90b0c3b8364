use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The ids that schemas have in a registry, by subject, as a file states them. The subject of a topic's values
/// is `<topic>-value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaIds {
    by_subject: BTreeMap<String, u32>,
}

impl SchemaIds {
    /// Reads lines of TOML `subject = id`; the id is from 1 to 2^31 - 1, as registries give them.
    ///
    /// # Errors
    /// With the subject and what to write instead.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            RegistryError::NotToml { line: before.matches('\n').count() + 1 }
        })?;
        let by_subject = table.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { by_subject })
    }

    /// The id of the values of `topic`.
    ///
    /// # Errors
    /// [`RegistryError::Missing`].
    pub fn of(&self, topic: &str) -> Result<u32, RegistryError> {
        let subject = subject(topic);
        self.by_subject.get(&subject).copied().ok_or(RegistryError::Missing { subject })
    }

    /// Refuses a file in which one of these topics has no id, or two have the same: the schemas of their values
    /// differ.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] and [`RegistryError::Same`].
    pub fn distinct<'a>(&self, topics: impl IntoIterator<Item = &'a str>) -> Result<(), RegistryError> {
        let mut taken = BTreeMap::new();
        for topic in topics {
            if let Some(other) = taken.insert(self.of(topic)?, topic) {
                return Err(RegistryError::Same { subject: subject(topic), other: subject(other) });
            }
        }
        Ok(())
    }

    /// Refuses a file that speaks of a topic which is none of `topics`: most often a name was misspelt.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn only<'a>(&self, topics: impl IntoIterator<Item = &'a str>) -> Result<(), RegistryError> {
        let known: BTreeSet<String> = topics.into_iter().map(subject).collect();
        match self.by_subject.keys().find(|name| !known.contains(*name)) {
            Some(subject) => Err(RegistryError::Unknown {
                subject: subject.clone(),
                known: known.into_iter().collect::<Vec<_>>().join(", "),
            }),
            None => Ok(()),
        }
    }
}

fn read((subject, id): (String, Value)) -> Result<(String, u32), RegistryError> {
    match id {
        Value::Integer(id) if (1..=i64::from(i32::MAX)).contains(&id) => {
            u32::try_from(id).map(|id| (subject.clone(), id)).map_err(|_| RegistryError::BadId { subject })
        }
        // TOML reads a bare name with dots as tables in each other.
        Value::Table(_) => Err(RegistryError::Dotted { subject }),
        _ => Err(RegistryError::BadId { subject }),
    }
}

fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// Why a registry file cannot be used. Subjects are told as they stand in it: it is the operator's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It is not TOML.
    #[error(
        "line {line} is not TOML: each line is a subject and its id, such as recommendations-value = 101"
    )]
    NotToml {
        /// Counting from 1.
        line: usize,
    },
    /// A subject has dots and no quotes.
    #[error("{subject}: a name with dots stands in quotes, such as \"shop.clicks-value\" = 101")]
    Dotted {
        /// What stands before the first dot.
        subject: String,
    },
    /// An id is no id.
    #[error("{subject}: an id is a whole number from 1 to 2147483647")]
    BadId {
        /// Whose.
        subject: String,
    },
    /// No topic has such values.
    #[error("{subject} is the subject of no topic here; there are: {known}")]
    Unknown {
        /// The subject.
        subject: String,
        /// The subjects there are.
        known: String,
    },
    /// Two subjects of different schemas have one id.
    #[error("{subject} and {other} have the same id, and their schemas differ: look them up again")]
    Same {
        /// One of them.
        subject: String,
        /// The other.
        other: String,
    },
    /// The id that is needed is not there.
    #[error("{subject} is missing: add the id under which the registry knows its schema")]
    Missing {
        /// The subject.
        subject: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_the_id_of_its_subject() {
        let ids = SchemaIds::parse("# ours\na-value = 1\n\"shop.web-value\" = 2147483647\n").unwrap();
        assert_eq!(ids.of("a"), Ok(1));
        assert_eq!(ids.of("shop.web"), Ok(2_147_483_647));
        assert_eq!(ids.of("b"), Err(RegistryError::Missing { subject: "b-value".to_owned() }));
    }

    #[test]
    fn what_is_no_list_of_ids_is_refused() {
        let bad_id = || RegistryError::BadId { subject: "a-value".to_owned() };
        for (text, error) in [
            ("\na-value 1", RegistryError::NotToml { line: 2 }),
            ("a-value = 1\na-value = 2", RegistryError::NotToml { line: 2 }),
            ("a.b-value = 1", RegistryError::Dotted { subject: "a".to_owned() }),
            ("a-value = 0", bad_id()),
            ("a-value = 2147483648", bad_id()),
            ("a-value = -1", bad_id()),
            ("a-value = \"1\"", bad_id()),
            ("a-value = 1.0", bad_id()),
        ] {
            assert_eq!(SchemaIds::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn topics_of_different_schemas_have_an_id_each() {
        let ids = SchemaIds::parse("a-value = 1\nb-value = 2\nc-value = 1").unwrap();
        assert_eq!(ids.distinct(["a", "b"]), Ok(()));
        assert_eq!(ids.distinct(["a", "d"]), Err(RegistryError::Missing { subject: "d-value".to_owned() }));
        let same = RegistryError::Same { subject: "c-value".to_owned(), other: "a-value".to_owned() };
        assert_eq!(ids.distinct(["a", "b", "c"]), Err(same));
    }

    #[test]
    fn a_subject_of_no_topic_is_refused() {
        let ids = SchemaIds::parse("a-value = 1\nb-values = 2").unwrap();
        let error = ids.only(["a", "b"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "b-values is the subject of no topic here; there are: a-value, b-value"
        );
        assert_eq!(SchemaIds::parse("a-value = 1").unwrap().only(["a", "b"]), Ok(()));
    }
}
