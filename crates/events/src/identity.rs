use std::fmt;

/// Whose state something is: a tenant and, inside it, a customer or a visitor.
///
/// Its text, `tenant|id`, is the Kafka key of every record that is about one profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileKey {
    tenant: String,
    id: String,
}

impl ProfileKey {
    /// The key of `id` in the shop of `tenant`.
    #[must_use]
    pub fn new(tenant: &str, id: &str) -> Self {
        Self { tenant: tenant.to_owned(), id: id.to_owned() }
    }

    /// Reads the text form; `None` if it names no tenant or no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, id) = text.split_once('|')?;
        (!tenant.is_empty() && !id.is_empty()).then(|| Self::new(tenant, id))
    }

    /// The shop.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The customer (`user_id`), or the visitor (`anonymous_id`) while no customer is known.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for ProfileKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}|{}", self.tenant, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back() {
        let key = ProfileKey::new("shop", "anna|of green gables");
        assert_eq!(ProfileKey::parse(&key.to_string()), Some(key));
    }

    #[test]
    fn half_a_key_is_no_key() {
        assert_eq!(ProfileKey::parse("shop"), None);
        assert_eq!(ProfileKey::parse("|anna"), None);
        assert_eq!(ProfileKey::parse("shop|"), None);
    }
}
