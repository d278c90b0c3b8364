use std::collections::BTreeMap;

/// How far the sources of a topic have got, as their heartbeats tell.
///
/// A source's stream time is the minimum over its origins, declared at start; while one of them has not
/// been heard of, no time has passed. It is never guessed from the newest event. A name with a `/` is no
/// source but a note of the processor's own, which travels with the position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTime {
    sources: BTreeMap<String, BTreeMap<i32, i64>>,
}

impl StreamTime {
    /// Takes note of the newest time of one origin partition of a source. It falls back when an origin that
    /// had ended goes on.
    pub fn hear(&mut self, source: &str, partition: i32, time: i64) {
        match self.sources.get_mut(source) {
            Some(origins) => origins.insert(partition, time),
            None => self.sources.entry(source.to_owned()).or_default().insert(partition, time),
        };
    }

    /// The time of one origin partition; `None` while it has not been heard of.
    #[must_use]
    pub fn origin(&self, source: &str, partition: i32) -> Option<i64> {
        self.sources.get(source)?.get(&partition).copied()
    }

    /// The minimum over the source's `origins` partitions; `i64::MIN` while one has not been heard of.
    #[must_use]
    pub fn of(&self, source: &str, origins: i32) -> i64 {
        (0..origins)
            .map(|partition| self.origin(source, partition).unwrap_or(i64::MIN))
            .min()
            .unwrap_or(i64::MIN)
    }

    /// So many origin partitions of a source there are at least, as far as has been heard.
    #[must_use]
    pub fn heard(&self, source: &str) -> i32 {
        let last = self.sources.get(source).and_then(|origins| origins.last_key_value());
        last.map_or(0, |(partition, _)| partition.saturating_add(1))
    }

    /// Every origin that has been heard of.
    pub fn origins(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.sources.iter().flat_map(|(source, origins)| {
            origins.iter().map(|(partition, time)| (source.as_str(), *partition, *time))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_that_of_the_slowest_origin_and_stands_still_until_all_are_heard_of() {
        let mut time = StreamTime::default();
        time.hear("clickstream", 0, 100);
        assert_eq!(time.of("clickstream", 2), i64::MIN);
        time.hear("clickstream", 1, 50);
        assert_eq!(time.of("clickstream", 2), 50);
        time.hear("clickstream", 1, i64::MAX);
        assert_eq!(time.of("clickstream", 2), 100);
        assert_eq!(time.of("orders", 1), i64::MIN);
        assert_eq!((time.heard("clickstream"), time.heard("orders")), (2, 0));
    }
}
