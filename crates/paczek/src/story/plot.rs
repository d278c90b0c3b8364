use std::collections::BTreeSet;

use events::{
    AbandonedCart, CartAction, Cause, Event, EventKind, EventTime, MINUTE, Recommendation, Silence,
    Suppression, WouldHaveBeen,
};

use super::words::Words;
use crate::demo::{Diary, Entry};

/// A pause that is longer ends a visit.
const PAUSE: i64 = 30 * MINUTE;
/// A pause that is shorter is none worth telling of.
const MOMENT: i64 = 10 * MINUTE;
/// A story of fewer events says nothing.
const FEWEST: usize = 3;
/// Looks that are told of beside those that matter.
const LOOKS: usize = 2;

/// How a story ends, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    BoughtWhatWeShowed,
    Reminded,
    TakenBack,
    BoughtAfterAll,
    CameBack,
    TooLittleKnown,
}

impl Ending {
    const ALL: [Self; 6] = [
        Self::BoughtWhatWeShowed,
        Self::Reminded,
        Self::TakenBack,
        Self::BoughtAfterAll,
        Self::CameBack,
        Self::TooLittleKnown,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::BoughtWhatWeShowed => "buys what we recommended",
            Self::Reminded => "leaves a cart, and is reminded of it",
            Self::TakenBack => "buys after all, so the reminder is taken back",
            Self::BoughtAfterAll => "comes back late, but buys before anything is said",
            Self::CameBack => "goes away and comes back in time, so there is nothing to say",
            Self::TooLittleKnown => "is somebody of whom we know too little to recommend anything",
        }
    }

    fn find<'a>(self, diary: &'a Diary) -> Option<Plot<'a>> {
        match self {
            Self::BoughtWhatWeShowed => bought_what_we_showed(diary),
            Self::Reminded => reminded(diary),
            Self::TakenBack => taken_back(diary),
            Self::BoughtAfterAll => bought_after_all(diary),
            Self::CameBack => came_back(diary),
            Self::TooLittleKnown => too_little_known(diary),
        }
    }
}

/// What is told of one customer.
pub(super) struct Plot<'a> {
    pub(super) ending: Ending,
    diary: &'a Diary,
    /// What she did in these spans of time is told.
    spans: Vec<(EventTime, EventTime)>,
    /// What we say, or keep to ourselves, and when that is told.
    said: Vec<(EventTime, Said<'a>)>,
}

#[derive(Clone, Copy)]
enum Said<'a> {
    Shown(&'a Recommendation),
    Cart(&'a AbandonedCart),
    Silence(&'a Suppression),
    /// She was away, and came back in time.
    Nothing,
}

/// One story for each ending that there is, of another customer each: the shortest.
pub(super) fn plots<'a>(diaries: &[&'a Diary]) -> Vec<Plot<'a>> {
    let mut told: Vec<Plot<'a>> = Vec::new();
    for ending in Ending::ALL {
        let others =
            diaries.iter().filter(|diary| !told.iter().any(|plot| std::ptr::eq(plot.diary, **diary)));
        let found = others.filter_map(|diary| ending.find(diary));
        let worth_it = found.filter(|plot| plot.events().count() >= FEWEST);
        told.extend(worth_it.min_by_key(|plot| plot.events().count()));
    }
    told
}

impl<'a> Plot<'a> {
    fn new(ending: Ending, diary: &'a Diary, spans: Vec<(EventTime, EventTime)>) -> Self {
        Self { ending, diary, spans, said: Vec::new() }
    }

    fn saying(mut self, at: EventTime, said: Said<'a>) -> Self {
        self.said.push((at, said));
        self
    }

    /// And what we showed last in the first span, if anything.
    fn showing(self) -> Self {
        let Some((from, to)) = self.spans.first().copied() else { return self };
        let last = self.diary.shown().rfind(|shown| from <= shown.decided_at && shown.decided_at <= to);
        match last {
            Some(shown) => self.saying(shown.decided_at, Said::Shown(shown)),
            None => self,
        }
    }

    /// Whom it is about.
    pub(super) fn customer(&self) -> String {
        let key = self.diary.did().next().and_then(Event::profile_key);
        key.map_or_else(String::new, |key| key.id().to_owned())
    }

    /// What is told, in the order of time.
    pub(super) fn lines(&self, words: &Words<'_>) -> Vec<(EventTime, String)> {
        let mut lines: Vec<(EventTime, u8, String)> = Vec::new();
        let matters = self.matters();
        let mut looks = 0;
        for event in self.events() {
            if event.kind == EventKind::ProductViewed
                && !event.items.iter().any(|item| matters.contains(&*item.product_id))
            {
                looks += 1;
                if looks > LOOKS {
                    continue;
                }
            }
            lines.extend(words.did(event).map(|text| (event.event_time, 0, text)));
        }
        for (at, said) in &self.said {
            let texts = match said {
                Said::Shown(shown) => words.shown(shown, &|id| self.diary.event(id)),
                Said::Cart(decision) => words.cart(decision),
                Said::Silence(silence) => words.silence(silence),
                Said::Nothing => {
                    vec!["→ we say nothing: she was back before half an hour was over".to_owned()]
                }
            };
            lines.extend(texts.into_iter().map(|text| (*at, 1, text)));
        }
        lines.sort_by_key(|(at, order, _)| (*at, *order));
        lines.into_iter().map(|(at, _, text)| (at, text)).collect()
    }

    /// What she did, in the order of time.
    fn events(&self) -> impl Iterator<Item = &'a Event> {
        let within = |event: &Event| {
            self.spans.iter().any(|(from, to)| *from <= event.event_time && event.event_time <= *to)
        };
        let mut events: Vec<&Event> = self.diary.did().filter(|event| within(event)).collect();
        events.sort_by_key(|event| event.event_time);
        events.into_iter()
    }

    /// The products that went into the cart, were bought, or shown by us.
    fn matters(&self) -> BTreeSet<&'a str> {
        let changes = |event: &&Event| event.cart.is_some() || event.order.is_some();
        let of_events = self.events().filter(changes).flat_map(|event| &event.items);
        let mut matters: BTreeSet<&str> = of_events.map(|item| item.product_id.as_str()).collect();
        for (_, said) in &self.said {
            if let Said::Shown(shown) = said {
                matters.extend(shown.items.iter().map(|item| item.product_id.as_str()));
            }
        }
        matters
    }
}

fn bought_what_we_showed(diary: &Diary) -> Option<Plot<'_>> {
    for order in diary.orders() {
        for item in &order.items {
            let touches = |event: &&Event| event.items.iter().any(|one| one.product_id == item.product_id);
            let Some(first) = diary.did().filter(touches).map(|event| event.event_time).min() else {
                continue;
            };
            let holds = |shown: &&Recommendation| {
                shown.items.iter().any(|one| one.product_id == item.product_id)
                    && shown.decided_at < first
                    && shown.decided_at.plus(PAUSE) >= first
            };
            if let Some(shown) = diary.shown().rfind(holds) {
                let spans = vec![(diary.visit(shown.decided_at).0, order.event_time)];
                let plot = Plot::new(Ending::BoughtWhatWeShowed, diary, spans);
                return Some(plot.saying(shown.decided_at, Said::Shown(shown)));
            }
        }
    }
    None
}

fn reminded(diary: &Diary) -> Option<Plot<'_>> {
    let fired = diary.carts(CartAction::Fire).find(|fired| diary.cancelled(fired).is_none())?;
    let plot = Plot::new(Ending::Reminded, diary, vec![diary.visit(fired.last_activity_at)]);
    Some(plot.showing().saying(fired.fire_at, Said::Cart(fired)))
}

fn taken_back(diary: &Diary) -> Option<Plot<'_>> {
    let fired = diary.carts(CartAction::Fire).find(|fired| diary.cancelled(fired).is_some())?;
    let cancelled = diary.cancelled(fired)?;
    let (from, _) = diary.visit(cancelled.decided_at);
    let spans = vec![diary.visit(fired.last_activity_at), (from, cancelled.decided_at)];
    let plot = Plot::new(Ending::TakenBack, diary, spans).saying(fired.fire_at, Said::Cart(fired));
    Some(plot.saying(cancelled.decided_at, Said::Cart(cancelled)))
}

fn bought_after_all(diary: &Diary) -> Option<Plot<'_>> {
    let purchased = |silence: &&Suppression| {
        silence.reason == Silence::Purchased
            && matches!(silence.would_have_been, WouldHaveBeen::AbandonedCart { .. })
    };
    let silence = diary.silences().find(purchased)?;
    let Cause::Timer { due } = silence.trigger else { return None };
    let left_at = diary.did().map(|event| event.event_time).filter(|at| *at < due).max()?;
    let order =
        diary.orders().filter(|order| order.event_time > left_at).min_by_key(|order| order.event_time)?;
    let spans = vec![diary.visit(left_at), (diary.visit(order.event_time).0, order.event_time)];
    let told_at = order.event_time.max(due);
    Some(Plot::new(Ending::BoughtAfterAll, diary, spans).saying(told_at, Said::Silence(silence)))
}

fn came_back(diary: &Diary) -> Option<Plot<'_>> {
    for order in diary.orders() {
        let (from, to) = diary.visit(order.event_time);
        let mut times: Vec<EventTime> = diary.did().map(|event| event.event_time).collect();
        times.retain(|at| from <= *at && *at <= order.event_time);
        times.sort();
        let back = times.windows(2).find(|pair| pair[1].minus(MOMENT) > pair[0]).map(|pair| pair[1]);
        let filled = |event: &Event| event.kind == EventKind::CartItemAdded && from <= event.event_time;
        let quiet = !diary.decided_between(from, to.plus(PAUSE));
        if let (Some(back), true, true) = (back, quiet, diary.did().any(filled)) {
            let plot = Plot::new(Ending::CameBack, diary, vec![(from, order.event_time)]);
            return Some(plot.saying(back, Said::Nothing));
        }
    }
    None
}

fn too_little_known(diary: &Diary) -> Option<Plot<'_>> {
    let silence = diary.silences().find(|silence| silence.reason == Silence::BelowFloor)?;
    let Cause::Event { event_time, .. } = silence.trigger else { return None };
    let plot = Plot::new(Ending::TooLittleKnown, diary, vec![diary.visit(event_time)]);
    Some(plot.saying(event_time, Said::Silence(silence)))
}

impl Diary {
    fn did(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Did(event) => Some(&**event),
            _ => None,
        })
    }

    fn event(&self, id: &str) -> Option<&Event> {
        self.did().find(|event| event.event_id == id)
    }

    fn orders(&self) -> impl Iterator<Item = &Event> {
        self.did().filter(|event| event.kind == EventKind::OrderCompleted)
    }

    fn shown(&self) -> impl DoubleEndedIterator<Item = &Recommendation> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Shown(shown) => Some(&**shown),
            _ => None,
        })
    }

    fn carts(&self, action: CartAction) -> impl Iterator<Item = &AbandonedCart> {
        self.entries.iter().filter_map(move |entry| match entry {
            Entry::Cart(decision) if decision.action == action => Some(&**decision),
            _ => None,
        })
    }

    fn silences(&self) -> impl Iterator<Item = &Suppression> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Silence(silence) => Some(&**silence),
            _ => None,
        })
    }

    fn cancelled(&self, fired: &AbandonedCart) -> Option<&AbandonedCart> {
        self.carts(CartAction::Cancel).find(|cancel| cancel.trigger_id == fired.trigger_id)
    }

    /// Whether anything about a cart was decided then.
    fn decided_between(&self, from: EventTime, to: EventTime) -> bool {
        let about_cart = |entry: &Entry| match entry {
            Entry::Cart(_) => true,
            Entry::Silence(silence) => matches!(silence.would_have_been, WouldHaveBeen::AbandonedCart { .. }),
            Entry::Did(_) | Entry::Shown(_) => false,
        };
        self.entries.iter().any(|entry| about_cart(entry) && from <= entry.at() && entry.at() <= to)
    }

    /// The first and the last event of the visit that goes on at that time.
    fn visit(&self, at: EventTime) -> (EventTime, EventTime) {
        let mut times: Vec<EventTime> = self.did().map(|event| event.event_time).collect();
        times.sort();
        let goes_on = |pair: &[EventTime]| pair[0].plus(PAUSE) >= pair[1];
        let visits = times.chunk_by(|one, next| goes_on(&[*one, *next]));
        let spans = visits.filter_map(|visit| Some((*visit.first()?, *visit.last()?)));
        spans.into_iter().find(|(from, to)| *from <= at && at <= *to).unwrap_or((at, at))
    }
}
