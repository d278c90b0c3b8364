//! Stored state: one byte version, then the state in postcard.
//!
//! The version is the state type's own: raise it with any change of the type, because postcard
//! writes no field names and would read old bytes as something else.

use profile_updater::Profile;
use recommender::{Customer, ItemModels};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::CodecError;

const WHAT: &str = "stored state";
/// The form of a profile that this version writes.
const PROFILE_VERSION: u8 = 1;
/// The form of a customer that this version writes.
const CUSTOMER_VERSION: u8 = 2;
/// The form of item models that this version writes.
const MODELS_VERSION: u8 = 1;

/// How far each origin of a source had got: source, origin, event time in milliseconds.
pub type Heard = Vec<(String, i32, i64)>;

/// The bytes of a profile.
///
/// # Errors
/// See [`encode`].
pub fn encode_profile(profile: &Profile) -> Result<Vec<u8>, CodecError> {
    encode(PROFILE_VERSION, profile)
}

/// The profile in `bytes`.
///
/// # Errors
/// See [`decode`].
pub fn decode_profile(bytes: &[u8]) -> Result<Profile, CodecError> {
    decode(PROFILE_VERSION, bytes)
}

/// The bytes of what is remembered of a customer to decide by.
///
/// # Errors
/// See [`encode`].
pub fn encode_customer(customer: &Customer) -> Result<Vec<u8>, CodecError> {
    encode(CUSTOMER_VERSION, customer)
}

/// The customer in `bytes`.
///
/// # Errors
/// See [`decode`].
pub fn decode_customer(bytes: &[u8]) -> Result<Customer, CodecError> {
    decode(CUSTOMER_VERSION, bytes)
}

/// The bytes of item models, with how far time had got when they had learned so much.
///
/// # Errors
/// See [`encode`].
pub fn encode_models(models: &ItemModels, heard: &Heard) -> Result<Vec<u8>, CodecError> {
    encode(MODELS_VERSION, &(models, heard))
}

/// The item models in `bytes`.
///
/// # Errors
/// See [`decode`].
pub fn decode_models(bytes: &[u8]) -> Result<(ItemModels, Heard), CodecError> {
    decode(MODELS_VERSION, bytes)
}

/// The bytes of `state`, behind the `version` of its type.
///
/// # Errors
/// [`CodecError::Unencodable`] when the type's `Serialize` refuses.
pub fn encode<T: Serialize>(version: u8, state: &T) -> Result<Vec<u8>, CodecError> {
    postcard::to_extend(state, vec![version])
        .map_err(|_| CodecError::Unencodable { what: WHAT, reason: "its type has no form in postcard" })
}

/// The state in `bytes`, if they are of `version` and hold one state and nothing else.
///
/// `T` must not hold a sequence of zero-sized elements: a few bytes could claim any number of them.
///
/// # Errors
/// [`CodecError::Empty`], [`CodecError::UnknownVersion`], [`CodecError::Malformed`] or
/// [`CodecError::TrailingBytes`].
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (&found, state) = bytes.split_first().ok_or(CodecError::Empty { what: WHAT })?;
    if found != version {
        return Err(CodecError::UnknownVersion { what: WHAT, found, known: version });
    }
    let (state, rest) = postcard::take_from_bytes(state)
        .map_err(|_| CodecError::Malformed { what: WHAT, reason: "it is cut or of another type" })?;
    if !rest.is_empty() {
        return Err(CodecError::TrailingBytes { what: WHAT, bytes: rest.len() });
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    type State = (String, Vec<Option<u64>>);

    fn state() -> State {
        ("anna".to_owned(), vec![Some(7), None])
    }

    #[test]
    fn state_comes_back() -> Result<(), CodecError> {
        let bytes = encode(3, &state())?;
        assert_eq!(bytes.first(), Some(&3));
        assert_eq!(decode::<State>(3, &bytes)?, state());
        Ok(())
    }

    #[test]
    fn another_version_is_refused() -> Result<(), CodecError> {
        let bytes = encode(3, &state())?;
        let refusal = CodecError::UnknownVersion { what: WHAT, found: 3, known: 4 };
        assert_eq!(decode::<State>(4, &bytes), Err(refusal));
        assert_eq!(decode::<State>(4, &[]), Err(CodecError::Empty { what: WHAT }));
        Ok(())
    }

    #[test]
    fn cut_and_lengthened_state_is_refused() -> Result<(), CodecError> {
        let mut bytes = encode(3, &state())?;
        for end in 0..bytes.len() {
            assert!(decode::<State>(3, &bytes[..end]).is_err());
        }
        bytes.push(0);
        assert_eq!(decode::<State>(3, &bytes), Err(CodecError::TrailingBytes { what: WHAT, bytes: 1 }));
        Ok(())
    }

    #[test]
    fn a_huge_claim_is_refused() {
        let claim = [3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(decode::<Vec<u64>>(3, &claim).is_err());
        assert!(decode::<String>(3, &claim).is_err());
    }
}
