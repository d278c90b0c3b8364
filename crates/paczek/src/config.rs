mod decisions;
mod generation;
mod span;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::EventTime;
use profile_updater::{Notice, Rules};
use recommender::Speech;
use serde::{Deserialize, Deserializer, Serialize};
use stream_runtime::{Standby, StartFrom};

pub(crate) use decisions::RecommenderConfig;
pub(crate) use span::Span;
use text::{explain, is_value, set};

use crate::problem::Problem;
use crate::processors::CLICKSTREAM;
use crate::registry::OutwardConfig;

/// Prefix of the environment variables that override the file: `PACZEK_KAFKA__BOOTSTRAP`.
const ENVIRONMENT: &str = "PACZEK_";
/// What fits into an event and, refused, into a dead letter, in bytes.
const LARGEST_VALUE: usize = 1 << 20;
/// Stands in for a value that is not to be read by others.
const REDACTED: &str = "[redacted]";

/// Everything a user can set. Each value has a default; the file and the environment change it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Begins every consumer group and `transactional.id`.
    pub application: String,
    /// Begins every topic name but those of sources.
    pub topic_prefix: String,
    /// How often `reshard` has moved the state, and one: it ends the names of what the state is spread over.
    pub generation: u32,
    /// Where this instance keeps its state.
    pub state_dir: PathBuf,
    /// Percent of its disk below which nothing is written until there is room again; 0 for no limit.
    pub least_free_disk: u8,
    /// Address of health, metrics and look-ups; empty for none.
    pub http: String,
    /// Where to start where no position exists: `earliest`, `latest` or an RFC 3339 time.
    pub start_from: String,
    /// Go on where a group's offset is ahead of the changelog's.
    pub accept_reset: bool,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The shop's topics.
    pub sources: Vec<SourceConfig>,
    /// How profiles are kept.
    pub profiles: ProfilesConfig,
    /// How decisions are made.
    pub recommender: RecommenderConfig,
    /// How values leave for readers outside.
    pub outward: OutwardConfig,
    /// How work is cut into transactions.
    pub transactions: TransactionsConfig,
    /// Which copies of state are kept besides the owner's.
    pub standby: StandbyConfig,
}

/// The cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Its addresses, separated by commas.
    pub bootstrap: String,
    /// Replicas of the topics made by `topics apply`; -1 for the cluster's default.
    pub replication: i32,
    /// librdkafka's own properties, for TLS, SASL and tuning.
    #[serde(deserialize_with = "as_text")]
    pub properties: BTreeMap<String, String>,
}

/// One of the shop's topics.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// Its name in heartbeats, metrics and group names.
    pub name: String,
    /// The topic; the name when empty.
    pub topic: String,
    /// `segment`, `canonical`, `avro` or `alibaba`.
    pub format: String,
    /// `live`, or `historic` for files and replays.
    pub kind: String,
    /// Tenant of records that name none.
    pub tenant: String,
    /// Further tenants that records may name.
    pub tenants: Vec<String>,
    /// Disorder that changes nothing.
    pub lateness: Span,
    /// Silence after which a live partition counts as idle, and time passes without it.
    pub idle_patience: Span,
    /// Largest value taken, in bytes.
    pub max_value_bytes: usize,
    /// ISO 4217 code of the amounts in records that name none; empty for none.
    pub currency: String,
    /// Worker threads.
    pub threads: usize,
}

/// How profiles are kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfilesConfig {
    /// Silence after which a cart counts as abandoned.
    pub idle: Span,
    /// Silence after which the next event starts a new session.
    pub session_gap: Span,
    /// Notice an abandoned cart after every idle period, not once for each content.
    pub notice_every_idle_period: bool,
    /// Profiles kept in memory for each partition.
    pub hot: usize,
    /// Memory for RocksDB's block cache, in bytes.
    pub cache_bytes: usize,
    /// Worker threads.
    pub threads: usize,
}

/// How work is cut into transactions.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransactionsConfig {
    /// Length of a cycle.
    pub interval: Span,
    /// Input records in one transaction.
    pub max_records: usize,
    /// Input bytes in one transaction.
    pub max_bytes: usize,
    /// Time after which the broker aborts a transaction that was left open.
    pub timeout: Span,
    /// Silence after which a member of a group counts as dead.
    pub session_timeout: Span,
}

/// Copies of state that follow what others own.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StandbyConfig {
    /// Instances that keep a copy of each partition besides its owner.
    pub copies: usize,
    /// A new instance joins its groups only once it has followed the changelogs, also without copies.
    pub join_when_warm: bool,
    /// Changelog records of a partition that may still be missing then.
    pub warm_lag: u64,
}

impl Default for StandbyConfig {
    fn default() -> Self {
        let Standby { copies, join_when_warm, warm_lag } = Standby::default();
        Self { copies, join_when_warm, warm_lag }
    }
}

impl StandbyConfig {
    /// As the runtime takes it.
    #[must_use]
    pub fn settings(&self) -> Standby {
        let Self { copies, join_when_warm, warm_lag } = *self;
        Standby { copies, join_when_warm, warm_lag }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            application: "paczek".into(),
            topic_prefix: String::new(),
            generation: 1,
            state_dir: "state".into(),
            least_free_disk: 5,
            http: "127.0.0.1:8480".into(),
            start_from: "earliest".into(),
            accept_reset: false,
            kafka: KafkaConfig::default(),
            sources: vec![SourceConfig::default()],
            profiles: ProfilesConfig::default(),
            recommender: RecommenderConfig::default(),
            outward: OutwardConfig::default(),
            transactions: TransactionsConfig::default(),
            standby: StandbyConfig::default(),
        }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self { bootstrap: "127.0.0.1:19092".into(), replication: -1, properties: BTreeMap::new() }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            name: "clickstream".into(),
            topic: String::new(),
            format: "segment".into(),
            kind: "live".into(),
            tenant: "shop".into(),
            tenants: Vec::new(),
            lateness: Span::minutes(10),
            idle_patience: Span::minutes(1),
            max_value_bytes: 1 << 20,
            currency: String::new(),
            threads: 1,
        }
    }
}

impl Default for ProfilesConfig {
    fn default() -> Self {
        Self {
            idle: Span::minutes(30),
            session_gap: Span::minutes(30),
            notice_every_idle_period: false,
            hot: 100_000,
            cache_bytes: 64 << 20,
            threads: 1,
        }
    }
}

impl Default for TransactionsConfig {
    fn default() -> Self {
        Self {
            interval: Span(Duration::from_millis(40)),
            max_records: 10_000,
            max_bytes: 8 << 20,
            timeout: Span(Duration::from_secs(10)),
            session_timeout: Span(Duration::from_secs(6)),
        }
    }
}

impl Config {
    /// Reads the file, lets the environment override it, and checks every value.
    ///
    /// # Errors
    /// With one sentence on what is wrong where, and what was probably meant.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problem> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| Problem::File { path: path.to_owned(), source })?,
            None => String::new(),
        };
        let name = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        Self::parse(&text, environment).map_err(|reason| Problem::Config(format!("{name}: {reason}")))
    }

    /// As [`Config::read`], from text.
    pub(crate) fn parse(
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| explain(&error, text))?;
        let mut config: Self = toml::from_str(text).map_err(|error| explain(&error, text))?;
        // In order, so that the first element of a list comes before the second.
        for (variable, value) in environment.collect::<BTreeMap<_, _>>() {
            if let Some(path) = variable.strip_prefix(ENVIRONMENT).filter(|path| is_value(path)) {
                set(&mut table, path, &value).map_err(|reason| format!("{variable}: {reason}"))?;
                config = Self::deserialize(table.clone())
                    .map_err(|error| format!("{variable}: {}", explain(&error, "")))?;
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Where to start where no position exists.
    ///
    /// # Errors
    /// When `start_from` is none of the three forms.
    pub(crate) fn start(&self) -> Result<StartFrom, String> {
        match self.start_from.as_str() {
            "earliest" => Ok(StartFrom::Earliest),
            "latest" => Ok(StartFrom::Latest),
            time => time
                .parse::<jiff::Timestamp>()
                .map(|time| StartFrom::Time(time.as_millisecond()))
                .map_err(|_| {
                    "start_from is neither `earliest`, `latest` nor a time such as 2026-03-01T00:00:00Z"
                        .to_owned()
                }),
        }
    }

    /// What may be said, but for the reading of the clock.
    ///
    /// # Errors
    /// When `speak_after` is no time.
    pub(crate) fn speech(&self) -> Result<Speech, String> {
        let after = self.recommender.speak_after.as_str();
        let time = (!after.is_empty()).then(|| after.parse::<jiff::Timestamp>()).transpose();
        let time = time.map_err(|_| {
            "recommender.speak_after is no time such as 2026-03-01T00:00:00Z; leave it empty to say everything"
        })?;
        // Whoever reads history has its decisions late by nature.
        let live = self.sources.iter().any(|source| source.name == CLICKSTREAM && source.kind == "live");
        Ok(Speech {
            speak_after: time.map(|time| EventTime(time.as_millisecond())),
            max_decision_age: live.then(|| self.recommender.max_decision_age.millis()),
            ..Speech::always()
        })
    }

    /// The configuration as it holds, in TOML, without secrets.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut shown = self.clone();
        for (name, value) in &mut shown.kafka.properties {
            let secret = ["password", "secret", "key", "token", "jaas", "oauthbearer.config", "pem"];
            if secret.iter().any(|word| name.contains(word)) && !name.ends_with(".location") {
                REDACTED.clone_into(value);
            }
        }
        toml::to_string(&shown).unwrap_or_default()
    }

    /// Checks every value, and each against the others.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.start()?;
        if self.sources.is_empty() {
            return Err("[[sources]] names no source; at least the clickstream is needed".into());
        }
        for source in &self.sources {
            source.check()?;
        }
        let mut names: Vec<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two sources are called {}; give each a name of its own", twice[0]));
        }
        if !names.contains(&CLICKSTREAM) {
            return Err("no source is called clickstream; timers run on its time".into());
        }
        self.transactions.check()?;
        if self.least_free_disk > 50 {
            return Err("least_free_disk is 0 to 50 percent".into());
        }
        if self.standby.copies > 16 {
            return Err("standby.copies is 0 to 16".into());
        }
        self.outward.check()?;
        self.check_topics()?;
        plain("application", &self.application)?;
        within("generation", self.generation, generation::MOST)?;
        if !self.topic_prefix.is_empty() {
            plain("topic_prefix", &self.topic_prefix)?;
        }
        if self.kafka.replication == 0 || !(-1..=32).contains(&self.kafka.replication) {
            return Err("kafka.replication is -1 for the cluster's default, or 1 to 32".into());
        }
        if !self.http.is_empty() && self.http.parse::<std::net::SocketAddr>().is_err() {
            return Err("http is an address and port such as 127.0.0.1:8480, or empty".into());
        }
        self.speech()?;
        self.recommender.check()?;
        self.profiles.check()
    }
}

impl Config {
    /// A source that is one of our own topics would feed on itself.
    fn check_topics(&self) -> Result<(), String> {
        let ours = crate::topics::own(self);
        for (number, source) in self.sources.iter().enumerate() {
            let twice = self.sources[..number].iter().any(|other| other.topic() == source.topic());
            if twice || ours.iter().any(|topic| topic == source.topic()) {
                let (name, topic) = (&source.name, source.topic());
                return Err(format!(
                    "source {name}: topic {topic} is taken; each source has a topic of the shop's own"
                ));
            }
        }
        Ok(())
    }
}

impl SourceConfig {
    /// The topic it is read from.
    #[must_use]
    pub fn topic(&self) -> &str {
        if self.topic.is_empty() { &self.name } else { &self.topic }
    }

    /// The processor that reads it.
    pub(crate) fn processor(&self) -> String {
        format!("ingest-{}", self.name)
    }

    /// What ingest needs to know of it.
    ///
    /// # Errors
    /// When format or kind are none that exist.
    pub(crate) fn source(&self) -> Result<ingest::Source, String> {
        let kind = match self.kind.as_str() {
            "live" => ingest::SourceKind::Live,
            "historic" => ingest::SourceKind::Historic,
            _ => return Err(format!("source {}: kind is neither `live` nor `historic`", self.name)),
        };
        Ok(ingest::Source {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            tenants: self.tenants.clone(),
            format: self.format.parse().map_err(|error| format!("source {}: {error}", self.name))?,
            kind,
            lateness: self.lateness.millis(),
            max_value_bytes: self.max_value_bytes,
            currency: Some(self.currency.to_uppercase()).filter(|code| !code.is_empty()),
        })
    }

    fn check(&self) -> Result<(), String> {
        plain("sources.name", &self.name)?;
        plain("sources.topic", self.topic())?;
        self.tenants.iter().chain([&self.tenant]).try_for_each(|tenant| plain("sources.tenant", tenant))?;
        self.source()?;
        if !self.currency.is_empty() && (self.currency.len() != 3 || !self.currency.is_ascii()) {
            return Err(format!("source {}: currency is an ISO 4217 code such as EUR", self.name));
        }
        within("sources.threads", self.threads, 64)?;
        within("sources.max_value_bytes", self.max_value_bytes, LARGEST_VALUE)?;
        within("sources.lateness in milliseconds", self.lateness.0.as_millis(), 7 * 86_400_000)?;
        within("sources.idle_patience in milliseconds", self.idle_patience.0.as_millis(), 7 * 86_400_000)
    }
}

impl ProfilesConfig {
    pub(crate) fn rules(&self) -> Rules {
        let notice =
            if self.notice_every_idle_period { Notice::EveryIdlePeriod } else { Notice::OncePerContent };
        Rules { idle: self.idle.millis(), session_gap: self.session_gap.millis(), notice }
    }
}

impl ProfilesConfig {
    fn check(&self) -> Result<(), String> {
        within("profiles.hot", self.hot, 1_000_000_000)?;
        within("profiles.threads", self.threads, 64)?;
        within("profiles.cache_bytes", self.cache_bytes, 1 << 40)?;
        within("profiles.idle in milliseconds", self.idle.0.as_millis(), 30 * 86_400_000)?;
        within("profiles.session_gap in milliseconds", self.session_gap.0.as_millis(), 30 * 86_400_000)
    }
}

impl TransactionsConfig {
    fn check(&self) -> Result<(), String> {
        within("transactions.max_records", self.max_records, 1_000_000)?;
        within("transactions.max_bytes", self.max_bytes, 1 << 30)?;
        within("transactions.interval in milliseconds", self.interval.0.as_millis(), 60_000)?;
        if self.timeout.0 < Duration::from_secs(1) || self.timeout.0 > Duration::from_secs(900) {
            return Err("transactions.timeout is between 1s and 15m".into());
        }
        if self.interval.0 * 4 > self.timeout.0 {
            return Err("transactions.interval is at most a quarter of transactions.timeout".into());
        }
        if self.session_timeout.0 < Duration::from_secs(1) {
            return Err("transactions.session_timeout is at least 1s".into());
        }
        Ok(())
    }
}

fn within<T: Copy + PartialOrd + From<u8> + fmt::Display>(
    name: &str,
    value: T,
    most: T,
) -> Result<(), String> {
    if (T::from(1)..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is 1 to {most}"))
}

/// What can stand in a topic, a group and a directory name.
fn plain(name: &str, text: &str) -> Result<(), String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) && text != "." && text != ".." {
        return Ok(());
    }
    Err(format!("{name} is 1 to 64 letters, digits, dots, dashes or underscores"))
}

/// Numbers and flags as their text: that is what the client library takes.
fn as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let text = |(name, value)| match value {
        toml::Value::String(text) => Ok((name, text)),
        toml::Value::Integer(number) => Ok((name, number.to_string())),
        toml::Value::Boolean(flag) => Ok((name, flag.to_string())),
        _ => Err(serde::de::Error::custom(format!("kafka.properties: {name} is a text, a number or a flag"))),
    };
    BTreeMap::<String, toml::Value>::deserialize(deserializer)?.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        Config::parse(text, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn nothing_set_is_a_configuration() {
        assert_eq!(parse("", &[]).unwrap().sources[0].topic(), "clickstream");
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let error = parse("[kafka]\nbootstrp = 'a:1'", &[]).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("did you mean `bootstrap`?"), "{error}");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config = parse(
            "[kafka]\nbootstrap = 'a:1'\n[[sources]]\nformat = 'segment'",
            &[
                ("PACZEK_KAFKA__BOOTSTRAP", "b:2"),
                ("PACZEK_SOURCES__0__FORMAT", "alibaba"),
                ("PACZEK_TRANSACTIONS__MAX_RECORDS", "7"),
                ("PACZEK_KAFKA__PROPERTIES__SASL_PASSWORD", "hush"),
                ("PATH", "ignored"),
            ],
        );
        let config = config.unwrap();
        assert_eq!((config.kafka.bootstrap.as_str(), config.transactions.max_records), ("b:2", 7));
        assert_eq!(config.sources[0].format, "alibaba");
        assert_eq!(config.kafka.properties["sasl.password"], "hush");
        assert!(!config.redacted().contains("hush"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_sentence() {
        for (text, words) in [
            ("start_from = 'yesterday'", "start_from"),
            ("[[sources]]\nformat = 'xml'", "format"),
            ("[[sources]]\nkind = 'dead'", "kind"),
            ("[[sources]]\nname = 'orders'", "clickstream"),
            ("[profiles]\nidle = '30 parsecs'", "length of time"),
            ("[transactions]\nmax_records = 0", "is 1 to"),
            ("[transactions]\ninterval = '0ms'", "is 1 to"),
            ("[profiles]\nidle = '0s'", "is 1 to"),
            ("[[sources]]\ntopic = 'dead-letters'", "is taken"),
            ("[[sources]]\n[[sources]]\nname = 'orders'\ntopic = 'clickstream'", "is taken"),
            ("topic_prefix = 'a b'", "letters"),
            ("generation = 0", "is 1 to"),
            ("http = 'nonsense'", "address"),
            ("[kafka]\nreplication = 0", "replication"),
            ("[transactions]\ninterval = '9s'", "quarter"),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_redacted_form_reads_back() {
        let config = parse("", &[]).unwrap();
        assert_eq!(parse(&config.redacted(), &[]).unwrap().redacted(), config.redacted());
    }
}
