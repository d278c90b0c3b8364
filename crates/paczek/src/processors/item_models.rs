use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use events::{EventTime, Heartbeat};
use recommender::{ItemModels, ModelSettings, Offered};
use stream_runtime::{Failure, GlobalTable, Metric, Metrics, SourceRecord, StreamTime};

use crate::headers;

/// Its name in metrics, and that of its store.
pub(crate) const ITEM_MODELS: &str = "item-models";

/// The item models of this process, learned from every partition of `sessions`.
pub(crate) struct ModelTable {
    settings: ModelSettings,
    /// Tasks that wrote to `sessions` at first, each of which tells how far it has got. Who comes later is told of
    /// before it writes.
    writers: i32,
    /// Partitions of `sessions`.
    partitions: i32,
    learned: RwLock<Learned>,
}

struct Learned {
    models: ItemModels,
    /// By partition of `sessions`, how far each writer had got there.
    time: StreamTime,
}

impl ModelTable {
    pub(crate) fn new(settings: ModelSettings, writers: i32, partitions: i32) -> Self {
        let learned = Learned::nothing(&settings);
        Self { settings, writers, partitions, learned: RwLock::new(learned) }
    }

    /// Looks at the models; they do not change meanwhile.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&ItemModels) -> T) -> T {
        look(&self.learned().models)
    }

    /// Stream time of `sessions`: the minimum over its partitions of what every writer has told there.
    pub(crate) fn reached(&self) -> EventTime {
        self.learned().reached(self.writers, self.partitions)
    }

    fn learned(&self) -> RwLockReadGuard<'_, Learned> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn learning(&self) -> RwLockWriteGuard<'_, Learned> {
        self.learned.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, partition: i32, heartbeat: &Heartbeat, metrics: &Metrics) {
        let mut learned = self.learning();
        for origin in &heartbeat.origins {
            learned.time.hear(&partition.to_string(), origin.partition, origin.time.0);
        }
        let reached = learned.reached(self.writers, self.partitions);
        learned.models.seal(reached);
        metrics.set(Metric::UnlearnedSeconds, &[ITEM_MODELS], learned.models.unlearned_seconds() as f64);
    }
}

impl GlobalTable for ModelTable {
    fn take(&self, record: &SourceRecord, metrics: &Metrics) {
        let Some(value) = record.value.as_deref() else { return };
        let refused = |code| metrics.add(Metric::DeadLetters, &[ITEM_MODELS, code], 1);
        if headers::is_heartbeat(record) {
            match codec::decode_heartbeat(value) {
                Ok(heartbeat) => self.hear(record.partition, &heartbeat, metrics),
                Err(_) => refused("UNREADABLE_HEARTBEAT"),
            }
            return;
        }
        let Ok(entry) = codec::decode_session_entry(value) else {
            return refused("UNREADABLE_SESSION_EVENT");
        };
        let frontier = headers::read_number(record, headers::FRONTIER).map_or(entry.event_time, EventTime);
        if self.learning().models.offer(entry, frontier) == Offered::AfterSeal {
            refused("AFTER_SEAL");
        }
    }

    fn snapshot(&self) -> Result<Vec<u8>, Failure> {
        let learned = self.learned();
        let heard: Vec<(String, i32, i64)> = learned
            .time
            .origins()
            .map(|(partition, writer, time)| (partition.to_owned(), writer, time))
            .collect();
        Ok(codec::stored::encode_models(&learned.models, &heard)?)
    }

    fn restore(&self, snapshot: Option<&[u8]>) -> Result<(), Failure> {
        let mut restored = Learned::nothing(&self.settings);
        if let Some(bytes) = snapshot {
            let (models, heard) = codec::stored::decode_models(bytes)?;
            if *models.settings() != self.settings {
                return Err("the models were learned by other settings".into());
            }
            restored.models = models;
            heard.iter().for_each(|(partition, writer, time)| restored.time.hear(partition, *writer, *time));
        }
        *self.learning() = restored;
        Ok(())
    }
}

impl Learned {
    fn nothing(settings: &ModelSettings) -> Self {
        Self { models: ItemModels::new(settings.clone()), time: StreamTime::default() }
    }

    fn reached(&self, writers: i32, partitions: i32) -> EventTime {
        let of = |partition: i32| {
            let partition = partition.to_string();
            self.time.of(&partition, writers.max(self.time.heard(&partition)))
        };
        EventTime((0..partitions).map(of).min().unwrap_or(i64::MIN))
    }
}
