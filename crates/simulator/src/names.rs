use std::fmt;

/// A person of the shop, or a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Signs in on every visit.
    Customer(u32),
    /// Comes back and never says who they are.
    Visitor(u32),
    /// Comes once, on that visit.
    Guest(u64),
    /// A machine, on that visit.
    Bot(u64),
}

impl Who {
    /// The customer's id.
    pub(crate) fn user_id(self) -> Option<String> {
        match self {
            Self::Customer(number) => Some(format!("customer-{number:06}")),
            _ => None,
        }
    }

    /// The cookie of the device that is used first, or of the other one.
    pub(crate) fn anonymous_id(self, other_device: bool) -> String {
        match self {
            Self::Customer(number) if other_device => format!("tablet-{number:06}"),
            Self::Customer(number) => format!("device-{number:06}"),
            Self::Visitor(number) => format!("visitor-{number:06}"),
            Self::Guest(visit) => format!("guest-{visit:08}"),
            Self::Bot(visit) => format!("bot-{visit:08}"),
        }
    }

    /// The id of the profile.
    pub(crate) fn profile_id(self) -> String {
        self.user_id().unwrap_or_else(|| self.anonymous_id(false))
    }

    /// The shop's id of a cart of theirs.
    pub(crate) fn cart_id(self, cart: u32) -> String {
        format!("cart-{}-{cart}", self.profile_id())
    }
}

/// A product in one of its sizes; 0 is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ware {
    pub(crate) product: u32,
    pub(crate) variant: u8,
}

pub(crate) fn product(number: u32) -> String {
    format!("p-{number:05}")
}

pub(crate) fn variant(number: u8) -> Option<&'static str> {
    ["S", "M", "L", "XL"].get(usize::from(number).checked_sub(1)?).copied()
}

/// An amount of cents as a decimal number of euros.
pub(crate) struct Euros(pub(crate) i64);

impl fmt::Display for Euros {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
