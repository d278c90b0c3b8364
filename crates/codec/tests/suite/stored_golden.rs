//! The bytes of state that stores and changelogs hold: they are read for as long as there is a store, so another
//! form needs another version byte, and the old bytes stay here to be read.

use codec::stored::{
    decode_customer, decode_models, decode_profile, encode_customer, encode_models, encode_profile,
};
use codec::{Subject, decode_event, decode_profile_update, decode_session_entry};
use events::EventTime;
use profile_updater::{Arrival, Profile, apply};
use recommender::{Catalogue, Customer, ItemModels, Knowledge, ModelSettings, Speech, decide};

use crate::contract::{example, wire_bytes};
use crate::golden::{from_hex, to_hex};

#[test]
fn a_profile_has_the_bytes_of_its_version() {
    let golden = include_str!("../golden/stored-profile.v1.hex");
    let profile = profile();
    assert_eq!(decode_profile(&from_hex(golden)).unwrap(), profile);
    assert_eq!(to_hex(&encode_profile(&profile).unwrap()), golden, "the form of a profile has changed");
}

#[test]
fn a_customer_has_the_bytes_of_its_version() {
    let golden = include_str!("../golden/stored-customer.v2.hex");
    let customer = customer();
    assert_eq!(decode_customer(&from_hex(golden)).unwrap(), customer);
    assert_eq!(to_hex(&encode_customer(&customer).unwrap()), golden, "the form of a customer has changed");
}

#[test]
fn item_models_have_the_bytes_of_their_version() {
    let golden = include_str!("../golden/stored-models.v1.hex");
    let (models, heard) = (models(), vec![("0".to_owned(), 3, 1_772_438_439_120)]);
    let (read, known) = decode_models(&from_hex(golden)).unwrap();
    assert_eq!((read.epoch(), read.settings(), read.waiting()), (models.epoch(), models.settings(), 1));
    assert_eq!(known, heard);
    assert_eq!(
        to_hex(&encode_models(&read, &known).unwrap()),
        golden,
        "what is read is not what was written"
    );
    assert_eq!(
        to_hex(&encode_models(&models, &heard).unwrap()),
        golden,
        "the form of item models has changed"
    );
}

/// Somebody who did what the example events say.
fn profile() -> Profile {
    let mut profile = Profile::default();
    for file in ["product-viewed.json", "cart-item-added.json", "order-completed.json"] {
        let subject = Subject::ClickstreamEvent;
        let event = decode_event(&wire_bytes(subject, &example(subject, file))).unwrap();
        let arrival = Arrival { late: false, settled: EventTime::MIN };
        let key = event.profile_key().unwrap();
        apply(&mut profile, &key, &event, arrival, &profile_updater::Rules::default());
    }
    profile
}

/// Somebody of whom the recommender has read the example updates.
fn customer() -> Customer {
    let (models, catalogue) = (ItemModels::new(ModelSettings::default()), Catalogue::default());
    let (rules, speech) = (recommender::Rules::default(), Speech::always());
    let by = Knowledge { models: &models, catalogue: &catalogue, rules: &rules, speech: &speech };
    let mut customer = Customer::default();
    for file in ["event-first-visit.json", "event-cart-item-added.json", "timer-cart-abandoned.json"] {
        let subject = Subject::ProfileUpdate;
        let update = decode_profile_update(&wire_bytes(subject, &example(subject, file))).unwrap();
        decide(&mut customer, &update, &by);
    }
    customer
}

/// Models that have learned from one example entry, and wait to learn from another.
fn models() -> ItemModels {
    let mut models = ItemModels::new(ModelSettings::default());
    let entry = |file: &str| {
        let subject = Subject::SessionEvent;
        decode_session_entry(&wire_bytes(subject, &example(subject, file))).unwrap()
    };
    let (viewed, purchased) = (entry("viewed.json"), entry("purchased.json"));
    let (first, last) = (viewed.event_time, purchased.event_time);
    models.offer(viewed, first);
    models.seal(EventTime(first.0 + 40_000));
    models.offer(purchased, last.max(EventTime(first.0 + 100_000)));
    models
}
