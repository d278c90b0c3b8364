//! What every row is played on: a cluster, inputs with their references, fresh shops.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use ingest::Format;
use paczek::{End, RawRecord, raw_records};

use crate::clicks;
use crate::cluster::Nodes;
use crate::oracle::Digests;
use crate::shop::{Demo, Shop, rows};

/// Partitions of every topic that `topics apply` makes.
const PARTITIONS: i32 = 4;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What continuous integration has time for.
    Small,
    /// All of it.
    Full,
}

/// The clickstream of a run.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) events: u64,
}

impl Input {
    /// Its rows as records of the shop's topic.
    pub(crate) fn records(&self) -> Vec<RawRecord> {
        raw_records(&rows(&self.path, self.format), PARTITIONS, End::Ended)
    }
}

/// Where rows are tried.
pub struct Stage {
    /// How much is tried.
    pub scale: Scale,
    folder: tempfile::TempDir,
    cluster: Option<(Rc<Nodes>, String)>,
    references: BTreeMap<PathBuf, Rc<Digests>>,
    shops: u32,
}

impl Stage {
    /// A stage with nothing on it.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        let folder = tempfile::Builder::new().prefix("paczek-chaos-inputs-").tempdir().unwrap();
        Self { scale, folder, cluster: None, references: BTreeMap::new(), shops: 0 }
    }

    /// This many at full scale, that many at the small one.
    pub(crate) fn size(&self, full: u64, small: u64) -> u64 {
        if self.scale == Scale::Full { full } else { small }
    }

    /// A running cluster of so many nodes; the last one if it is such.
    pub(crate) fn cluster(&mut self, nodes: u16) -> Rc<Nodes> {
        self.cluster_with(nodes, "")
    }

    /// The same with further settings of its nodes.
    pub(crate) fn cluster_with(&mut self, nodes: u16, more: &str) -> Rc<Nodes> {
        if let Some((cluster, _)) =
            self.cluster.as_ref().filter(|(known, with)| known.count == nodes && with == more)
        {
            return Rc::clone(cluster);
        }
        // One at a time.
        self.cluster = None;
        let cluster = Rc::new(Nodes::start(nodes, more));
        self.cluster = Some((Rc::clone(&cluster), more.to_owned()));
        cluster
    }

    /// The next cluster is a new one.
    pub fn clear(&mut self) {
        self.cluster = None;
    }

    /// A shop that nobody has been to.
    pub(crate) fn shop(&mut self, cluster: &Nodes, settings: &[(&str, &str)]) -> Shop {
        self.shops += 1;
        Shop::open_at(&cluster.bootstrap, &format!("shop-{}", self.shops), settings)
    }

    /// Cheap rows, each with an id of its own.
    pub(crate) fn clicks(&self, seed: u64, events: u64) -> Input {
        let path = self.folder.path().join(format!("clicks-{seed}-{events}.csv"));
        if !path.exists() {
            clicks::write(&path, seed, events);
        }
        Input { path, format: Format::Alibaba, events }
    }

    /// The seeded shop, with all its noise.
    pub(crate) fn segment(&self, shop: &Shop, seed: u64, events: u64) -> Input {
        let path = self.folder.path().join(format!("shop-{seed}-{events}.jsonl"));
        if !path.exists() {
            let arguments = ["generate", "--events", &events.to_string(), "--seed", &seed.to_string()];
            std::fs::write(&path, shop.command(&arguments).stdout).unwrap();
        }
        Input { path, format: Format::Segment, events }
    }

    /// What the demo, which knows no Kafka, writes for an input.
    pub(crate) fn reference(&mut self, input: &Input) -> Rc<Digests> {
        let known = self.references.entry(input.path.clone());
        Rc::clone(known.or_insert_with(|| Rc::new(Demo::with(&input.path, input.format.name()).digests)))
    }
}
