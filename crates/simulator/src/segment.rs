use std::fmt::{self, Write as _};

use crate::acts::{Act, Draft};
use crate::generator::Shop;
use crate::names::{self, Euros, Ware};
use crate::noise::{Damage, Pending};
use crate::people::{Basket, Placed};

/// Writes a line as Segment's tracking API has it, or as damage left it.
///
/// All that is written is made here, of plain letters and numbers, so nothing has to be escaped.
pub(crate) fn write(shop: &Shop, pending: &Pending) -> Vec<u8> {
    let mut text = String::with_capacity(700);
    // Writing to a text cannot fail.
    let _ = Message { shop, pending }.write(&mut text);
    let mut value = text.into_bytes();
    match pending.damage {
        Some(Damage::CutOff) => value.truncate(value.len() / 2),
        Some(Damage::NotUtf8) => value[0] = 0xff,
        Some(Damage::NotAnObject) => value = [b"[", &value[..], b"]"].concat(),
        _ => {}
    }
    value
}

struct Message<'a> {
    shop: &'a Shop,
    pending: &'a Pending,
}

impl Message<'_> {
    fn write(&self, text: &mut String) -> fmt::Result {
        let draft = &self.pending.draft;
        match self.name() {
            Ok(event) => write!(text, r#"{{"type":"track","event":"{event}""#)?,
            Err(call) => write!(text, r#"{{"type":"{call}""#)?,
        }
        if self.is(Damage::NameTwice) {
            text.push_str(r#","type":"track""#);
        }
        let seed = self.shop.options.seed;
        write!(text, r#","messageId":"{seed:x}-{:x}-{}""#, draft.visit, draft.place)?;
        self.identity(text)?;
        self.times(text)?;
        self.context(text)?;
        match &draft.act {
            Act::SignIn => text.push_str(r#","traits":{"newsletter":true"#),
            act => {
                text.push_str(r#","properties":{"#);
                self.properties(text, act)?;
            }
        }
        text.push_str("}}");
        Ok(())
    }

    fn is(&self, damage: Damage) -> bool {
        self.pending.damage == Some(damage)
    }

    /// The name of a track call, or else the call.
    fn name(&self) -> Result<&'static str, &'static str> {
        if self.is(Damage::UnknownEvent) {
            return Ok("Product Dreamt Of");
        }
        Ok(match &self.pending.draft.act {
            Act::Page => return Err("page"),
            Act::SignIn => return Err("identify"),
            Act::Search(_) => "Products Searched",
            Act::List(_) => "Product List Viewed",
            Act::View(_) => "Product Viewed",
            Act::Wish(_) => "Product Added to Wishlist",
            Act::Add(..) => "Product Added",
            Act::Remove(..) => "Product Removed",
            Act::ViewCart => "Cart Viewed",
            Act::StartCheckout(_) => "Checkout Started",
            Act::CheckoutStep => "Checkout Step Completed",
            Act::Order { .. } => "Order Completed",
            Act::Return(_) => "Order Refunded",
        })
    }

    fn identity(&self, text: &mut String) -> fmt::Result {
        let draft = &self.pending.draft;
        if self.is(Damage::NoIdentity) {
            return Ok(());
        }
        write!(text, r#","anonymousId":"{}""#, draft.who.anonymous_id(draft.other_device))?;
        match draft.who.user_id().filter(|_| draft.signed_in) {
            Some(user) => write!(text, r#","userId":"{user}""#),
            None => Ok(()),
        }
    }

    fn times(&self, text: &mut String) -> fmt::Result {
        let draft = &self.pending.draft;
        match self.pending.damage {
            Some(Damage::NoTime) => {}
            Some(Damage::BadTime) => text.push_str(r#","timestamp":"yesterday""#),
            // Seconds where milliseconds belong.
            Some(Damage::LongAgo) => write!(text, r#","timestamp":"{}""#, Rfc3339(draft.at / 1_000))?,
            _ => write!(text, r#","timestamp":"{}""#, Rfc3339(draft.at))?,
        }
        write!(text, r#","receivedAt":"{}""#, Rfc3339(self.pending.arrives_at))
    }

    fn context(&self, text: &mut String) -> fmt::Result {
        let draft = &self.pending.draft;
        if self.is(Damage::BadContext) {
            text.push_str(r#","context":"lost""#);
            return Ok(());
        }
        write!(
            text,
            r#","context":{{"sessionId":"{:x}","timezone":"Europe/Warsaw","locale":"pl-PL","#,
            draft.visit
        )?;
        let page = match &draft.act {
            Act::View(product) | Act::Wish(product) => names::product(*product),
            Act::Add(ware, _) => names::product(ware.product),
            _ => String::new(),
        };
        write!(text, r#""page":{{"url":"https://shop.example/{page}"}},"#)?;
        let tracker = match draft.who {
            names::Who::Bot(_) => {
                r#""userAgent":"CrumbBot/1.0","library":{"name":"crawler","version":"1.0"}}"#
            }
            _ => r#""library":{"name":"analytics.js","version":"2.11"}}"#,
        };
        text.push_str(tracker);
        Ok(())
    }

    fn properties(&self, text: &mut String, act: &Act) -> fmt::Result {
        match act {
            Act::Page => write!(text, r#""title":"Shop""#),
            Act::SignIn | Act::CheckoutStep => write!(text, r#""step":1"#),
            Act::Search(product) => write!(text, r#""query":"{}""#, self.product(*product).0),
            Act::List(product) => write!(text, r#""list_id":"{}""#, self.product(*product).1),
            Act::View(product) | Act::Wish(product) => {
                self.ware(text, Ware { product: *product, variant: 0 })
            }
            Act::Add(ware, quantity) | Act::Remove(ware, quantity) => {
                self.cart(text)?;
                self.ware(text, *ware)?;
                write!(text, r#","quantity":{quantity}"#)
            }
            Act::ViewCart => write!(text, r#""title":"Cart""#),
            Act::StartCheckout(basket) => {
                self.cart(text)?;
                self.products(text, basket)
            }
            Act::Order { placed, names_cart } => {
                if *names_cart {
                    self.cart(text)?;
                }
                self.order(text, placed)
            }
            Act::Return(placed) => self.order(text, placed),
        }
    }

    fn cart(&self, text: &mut String) -> fmt::Result {
        let draft = &self.pending.draft;
        match draft.cart {
            Some(cart) => write!(text, r#""cart_id":"{}","#, draft.who.cart_id(cart)),
            None => Ok(()),
        }
    }

    fn order(&self, text: &mut String, placed: &Placed) -> fmt::Result {
        let seed = self.shop.options.seed;
        write!(
            text,
            r#""order_id":"order-{seed:x}-{:x}","total":{},"#,
            placed.order,
            self.total(&placed.bought)
        )?;
        self.products(text, &placed.bought)
    }

    fn products(&self, text: &mut String, basket: &Basket) -> fmt::Result {
        text.push_str(r#""currency":"EUR","products":["#);
        for (place, (ware, quantity)) in basket.iter().enumerate() {
            text.push_str(if place == 0 { "{" } else { ",{" });
            self.ware(text, *ware)?;
            write!(text, r#","quantity":{quantity}}}"#)?;
        }
        text.push(']');
        Ok(())
    }

    fn ware(&self, text: &mut String, ware: Ware) -> fmt::Result {
        let Some(product) = self.shop.catalogue.get(ware.product) else { return Ok(()) };
        write!(
            text,
            r#""product_id":"{}","name":"{}","brand":"{}","category":"{}","price":{},"currency":"EUR""#,
            product.product_id,
            product.name,
            product.brand,
            product.category,
            Euros(product.price_minor)
        )?;
        match names::variant(ware.variant) {
            Some(variant) => write!(text, r#","variant":"{variant}""#),
            None => Ok(()),
        }
    }

    /// Its name and its category.
    fn product(&self, number: u32) -> (&str, &str) {
        self.shop.catalogue.get(number).map_or(("", ""), |product| (&product.name, product.category))
    }

    fn total(&self, basket: &Basket) -> Euros {
        let price =
            |ware: &Ware| self.shop.catalogue.get(ware.product).map_or(0, |product| product.price_minor);
        Euros(basket.iter().map(|(ware, quantity)| price(ware) * i64::from(*quantity)).sum())
    }
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
struct Rfc3339(i64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(formatter, "{time:.3}")
    }
}

/// Whom the tracker says a draft is about.
pub(crate) fn key(draft: &Draft) -> String {
    let user = draft.who.user_id().filter(|_| draft.signed_in);
    user.unwrap_or_else(|| draft.who.anonymous_id(draft.other_device))
}
