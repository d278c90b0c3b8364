//! paczek
