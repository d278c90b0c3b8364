//! What the benchmarks of pure functions share: rows of clickstream, and the way an event goes.

mod profiles;
mod rows;

pub use profiles::Profiles;
pub use rows::Rows;
