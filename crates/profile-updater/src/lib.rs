//! profile-updater
