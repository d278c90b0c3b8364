use uuid::Uuid;

/// The namespace of every id we derive. Ids of earlier runs must come out again, so it never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x1d5c_3f6e_8a0b_5b7e_9c42_70c7_ec5e_a501);

/// The id of what `parts` name: the same parts in the same order give the same UUIDv5, always.
///
/// Each part counts with its length, so `("a", "bc")` and `("ab", "c")` are two ids.
#[must_use]
pub fn deterministic_id(parts: &[&str]) -> Uuid {
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + size_of::<u64>()).sum());
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_between_parts_counts() {
        assert_ne!(deterministic_id(&["a", "bc"]), deterministic_id(&["ab", "c"]));
        assert_ne!(deterministic_id(&["a"]), deterministic_id(&["a", ""]));
    }

    #[test]
    fn ids_stay_what_they_are() {
        let id = deterministic_id(&["bakery", "cart-rule", "anna", "1"]);
        assert_eq!(id.to_string(), "79e451f4-4c29-5aa8-bf39-bace69c7d092");
        assert_eq!(id.get_version_num(), 5);
    }
}
