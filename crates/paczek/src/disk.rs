//! Holds the workers of a process while its disk is nearly full. Once a disk has been full RocksDB writes nothing more,
//! also when there is room again; only a restart helps then.

use std::convert::Infallible;
use std::time::Duration;

use state_store::free_space;

use crate::config::Config;
use crate::pipeline::Observed;

/// Between two looks at the disk: what is written meanwhile is far less than what must be free.
const LOOK: Duration = Duration::from_secs(1);

/// Percent that there must be beyond the least before it goes on: it is not to be held again at once.
const MARGIN: f64 = 0.5;

/// Looks at the disk over and over. With a limit of nothing it holds nobody.
pub(crate) async fn watch_disk(config: &Config, observed: &Observed) -> Infallible {
    let mut looks = tokio::time::interval(LOOK);
    let mut is_held = false;
    loop {
        looks.tick().await;
        // A disk that tells nothing is judged by what RocksDB says of it.
        let Ok(free) = free_space(&config.state_dir) else { continue };
        let least = f64::from(config.least_free_disk);
        let is_short = free * 100.0 < if is_held { least + MARGIN } else { least };
        if is_short != is_held {
            is_held = is_short;
            observed.hold(is_held);
            tell(is_held, free, config);
        }
    }
}

fn tell(is_held: bool, free: f64, config: &Config) {
    let (free, least) = (format!("{:.1} %", free * 100.0), config.least_free_disk);
    if is_held {
        let directory = config.state_dir.display();
        tracing::error!(
            %directory, free, least,
            "the disk is nearly full: nothing is written until there is room; free some, or set least_free_disk"
        );
    } else {
        tracing::warn!(free, least, "there is room on the disk again: going on");
    }
}
