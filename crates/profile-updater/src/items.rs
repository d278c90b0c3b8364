use events::{Event, EventKind, EventTime, ItemSeen};
use serde::{Deserialize, Serialize};

const VIEWED: usize = 20;
const PURCHASED: usize = 50;
const WISHED: usize = 20;

/// The products a customer looked at, bought and wished for, each with its newest time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Items {
    viewed: Newest,
    purchased: Newest,
    wished: Newest,
}

impl Items {
    pub(crate) fn apply(&mut self, event: &Event) {
        let (list, limit) = match event.kind {
            EventKind::ProductViewed => (&mut self.viewed, VIEWED),
            EventKind::OrderCompleted => (&mut self.purchased, PURCHASED),
            EventKind::WishlistAdded => (&mut self.wished, WISHED),
            _ => return,
        };
        for item in &event.items {
            list.see(&item.product_id, event.event_time, limit);
        }
    }

    pub(crate) fn viewed(&self) -> Vec<ItemSeen> {
        self.viewed.view()
    }

    pub(crate) fn purchased(&self) -> Vec<ItemSeen> {
        self.purchased.view()
    }

    pub(crate) fn wished(&self) -> Vec<ItemSeen> {
        self.wished.view()
    }
}

/// The newest products, newest first. Which ones they are does not depend on the order of arrival:
/// each product keeps its greatest time, and the list the greatest of those.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    entries: Vec<(EventTime, String)>,
}

impl Newest {
    fn see(&mut self, product: &str, at: EventTime, limit: usize) {
        if let Some(place) = self.entries.iter().position(|(_, known)| known == product) {
            if self.entries[place].0 >= at {
                return;
            }
            self.entries.remove(place);
        }
        let place = self.entries.partition_point(|(time, known)| (*time, known.as_str()) > (at, product));
        if place < limit {
            self.entries.insert(place, (at, product.to_owned()));
            self.entries.truncate(limit);
        }
    }

    fn view(&self) -> Vec<ItemSeen> {
        self.entries.iter().map(|(at, product)| ItemSeen { product_id: product.clone(), at: *at }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            mut seen in prop::collection::vec((0i64..40, 0u8..12), 0..60),
            seed in any::<u64>(),
        ) {
            let fold = |seen: &[(i64, u8)]| {
                let mut list = Newest::default();
                seen.iter().for_each(|(at, product)| list.see(&product.to_string(), EventTime(*at), 5));
                list
            };
            let in_order = fold(&seen);
            let length = seen.len().max(1);
            seen.rotate_left(seed as usize % length);
            seen.reverse();
            prop_assert_eq!(in_order, fold(&seen));
        }
    }
}
