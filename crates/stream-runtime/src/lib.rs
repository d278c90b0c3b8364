//! stream-runtime
