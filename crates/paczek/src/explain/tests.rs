use events::{DAY, HOUR};
use recommender::Decision;
use simulator::Options;
use stream_runtime::{Output, SourceRecord};

use super::recordings::{id_of, read_decision};
use super::{Explained, Verdict, explain, verify_all};
use crate::rehearsal::{Rehearsal, again, now, small_shop};

fn explained(shop: &Rehearsal, record: &SourceRecord) -> Explained {
    explain(&shop.broker, &shop.config, &id_of(&record.headers)).unwrap().unwrap()
}

fn a_day() -> Rehearsal {
    let shop = Rehearsal::new(3);
    shop.visit(small_shop(4_000));
    shop.run(|_, _| ());
    shop
}

/// The last recommendation that names an epoch of the item models.
fn late_recommendation(shop: &Rehearsal) -> SourceRecord {
    shop.records("recommendations").into_iter().max_by_key(epoch_of).unwrap()
}

fn epoch_of(record: &SourceRecord) -> Option<i64> {
    let Some(Decision::Recommendation(said)) = read_decision("recommendations", record) else { return None };
    said.model_epoch
}

/// The same recommendation with another digit in its first score.
fn forged(record: &SourceRecord) -> Output {
    let mut forged = again(record);
    let value = forged.value.as_mut().unwrap();
    let digit = value.windows(8).position(|text| text == b"\"score\":").unwrap() + 10;
    value[digit] = if value[digit] == b'1' { b'2' } else { b'1' };
    forged
}

#[test]
fn every_decision_of_a_day_is_made_again_and_no_change_goes_unnoticed() {
    let shop = a_day();
    let verified = verify_all(&shop.broker, &shop.config).unwrap();
    assert!(verified.holds() && verified.rederived > 1_000, "{verified:?}");
    assert_eq!((verified.unwritten, verified.repeated, verified.different), (0, 0, 0), "{verified:?}");
    for name in ["recommendations", "abandoned-carts", "suppressions"] {
        let last = shop.records(name).pop().unwrap();
        assert_eq!(explained(&shop, &last).verdict, Verdict::Identical, "{name}");
    }

    let (record, copied) = (late_recommendation(&shop), |_: &str, record: &SourceRecord| Some(again(record)));
    let id = id_of(&record.headers);
    let is_it = |one: &SourceRecord| id_of(&one.headers) == id;
    assert_eq!(verify_all(&shop.copy(copied).broker, &shop.config).unwrap(), verified, "a copy is as good");

    let changed = shop.copy(|_, one| Some(if is_it(one) { forged(one) } else { again(one) }));
    let found = verify_all(&changed.broker, &changed.config).unwrap();
    assert_eq!((found.different, &found.first_differences), (1, &vec![id.clone()]), "{found:?}");
    let verdict = explained(&changed, &record);
    assert_eq!(verdict.verdict, Verdict::Different, "{verdict:?}");

    let silent = shop.copy(|_, one| (!is_it(one)).then(|| again(one)));
    assert_eq!(verify_all(&silent.broker, &silent.config).unwrap().unwritten, 1);

    let forgetful = shop.copy(|name, one| (name != "sessions").then(|| again(one)));
    assert_eq!(explained(&forgetful, &record).verdict, Verdict::SessionsGone);
    let orphaned =
        shop.copy(|name, one| (name != "profile-updates" || one.key != record.key).then(|| again(one)));
    assert_eq!(explained(&orphaned, &record).verdict, Verdict::UpdateGone);
    let found = verify_all(&orphaned.broker, &orphaned.config).unwrap();
    assert!(found.missing_evidence > 0 && found.different == 0 && !found.holds(), "{found:?}");

    shop.write(again(&record));
    let found = verify_all(&shop.broker, &shop.config).unwrap();
    assert!(found.repeated == 1 && !found.holds(), "{found:?}");
    assert!(explain(&shop.broker, &shop.config, "no such id").unwrap().is_none());
}

#[test]
fn what_was_said_or_not_by_the_clock_is_judged_by_the_same_reading() {
    let mut shop = Rehearsal::new(2);
    "live".clone_into(&mut shop.config.sources[0].kind);
    shop.visit(Options { start: now().minus(DAY - HOUR), ..small_shop(3_000) });
    shop.run(|_, _| ());
    let verified = verify_all(&shop.broker, &shop.config).unwrap();
    assert!(verified.holds(), "{verified:?}");
    let stale = shop.records("suppressions");
    let stale =
        stale.iter().filter(|one| one.value.as_deref().is_some_and(|value| contains(value, b"STALE")));
    assert!(stale.count() > 100 && shop.records("recommendations").len() > 1, "both sides of an hour ago");

    // Read an hour and a half earlier, the clock would have let all of them pass.
    let early = shop.copy(|_, one| {
        let mut early = again(one);
        let clocks = early.headers.iter_mut().filter(|(name, _)| name == crate::headers::CLOCK);
        clocks.for_each(|(_, reading)| *reading = b"0".to_vec());
        Some(early)
    });
    assert!(verify_all(&early.broker, &early.config).unwrap().different > 100);
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value.windows(word.len()).any(|text| text == word)
}
