//! Keyed bytes that survive a crash, with the position of all they have absorbed beside them.
//!
//! Knows: rows, keyed timers, positions, write batches; the only room that knows RocksDB.
//! Must not know: items, customers, Kafka.

mod damage;
mod directory;
mod load;
mod memory;
mod rocks;
mod space;
mod store;

pub use damage::{Opened, open_sound};
pub use directory::{DirectoryError, StateDirectory};
pub use memory::MemoryStore;
pub use rocks::{RocksOptions, RocksStore};
pub use space::free_space;
pub use store::{Row, Size, StateStore, StoreError, Timer, WriteBatch};
