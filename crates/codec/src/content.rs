use xxhash_rust::xxh3::Xxh3;

/// xxh3-64 over `parts`, each with its length before it: tells contents apart, and is no secret.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&length(part));
        hasher.update(part);
    }
    hasher.digest()
}

fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_between_parts_counts() {
        assert_ne!(fingerprint(&[b"a", b"bc"]), fingerprint(&[b"ab", b"c"]));
    }

    #[test]
    fn fingerprints_stay_what_they_are() {
        assert_eq!(format!("{:016x}", fingerprint(&[b"bakery|anna", b"\x01"])), "a7fdf124222f0abf");
    }
}
