//! Which services does a rule's host mean, and how near does it come to a name?

use crate::envoy::endpoint::is_name;

/// A rule's host: a full name, or `*` and the end of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    /// Which services of the mesh it covers.
    pub(crate) reach: Reach,
}

/// Which services of the mesh a host covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All.
    Mesh,
    /// All of one namespace.
    Namespace(String),
    /// One.
    Service { namespace: String, service: String },
    /// None that is known by its name.
    Elsewhere,
}

impl Host {
    /// The host of a rule in `namespace`: Istio completes names without dots, and no others.
    ///
    /// # Errors
    /// Why it is no host.
    pub(crate) fn of_rule(text: &str, namespace: &str, domain: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        if text != "*" && !is_name(rest) {
            return Err(format!(
                "the host is {text:?}: put a name there, or * or *. and the end of names"
            ));
        }
        if text.ends_with(".svc") {
            return Err(format!(
                "Istio completes no name with dots: write {text}.{domain}"
            ));
        }
        let name = match text == "*" || text.contains('.') {
            true => text.to_owned(),
            false => format!("{text}.{namespace}.svc.{domain}"),
        };
        let reach = reach(&name, domain);
        Ok(Self { name, reach })
    }

    /// How near it comes to one of `names`: a whole name before all patterns, a longer pattern before a shorter.
    pub(crate) fn nearness(&self, names: &[String]) -> Option<usize> {
        names.iter().filter_map(|name| self.nearness_to(name)).max()
    }

    fn nearness_to(&self, name: &str) -> Option<usize> {
        match self.name.strip_prefix('*') {
            None => (self.name == name).then_some(usize::MAX),
            Some(end) => (name.ends_with(end) && name.len() > end.len()).then_some(end.len()),
        }
    }
}

fn reach(name: &str, domain: &str) -> Reach {
    let services = format!(".svc.{domain}");
    if let Some(end) = name.strip_prefix('*') {
        let namespace = end
            .strip_suffix(&services)
            .and_then(|rest| rest.strip_prefix('.'));
        return match namespace {
            Some(namespace) if is_label(namespace) => Reach::Namespace(namespace.to_owned()),
            _ if services.ends_with(end) => Reach::Mesh,
            _ => Reach::Elsewhere,
        };
    }
    match name
        .strip_suffix(&services)
        .and_then(|rest| rest.split_once('.'))
    {
        Some((service, namespace)) if is_label(namespace) => Reach::Service {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
        },
        _ => Reach::Elsewhere,
    }
}

/// The names by which rules may know what a workload of `namespace` calls `host`.
pub(crate) fn names_of(host: &str, namespace: &str, domain: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    match host.split('.').count() {
        1 => names.push(format!("{host}.{namespace}.svc.{domain}")),
        2 => names.push(format!("{host}.svc.{domain}")),
        3 if host.ends_with(".svc") => names.push(format!("{host}.{domain}")),
        _ => {}
    }
    names
}

/// The service and namespace that one of `names` means, if it is one of the mesh's.
pub(crate) fn service_of(names: &[String], domain: &str) -> Option<(String, String)> {
    names.iter().find_map(|name| match reach(name, domain) {
        Reach::Service { namespace, service } => Some((service, namespace)),
        Reach::Mesh | Reach::Namespace(_) | Reach::Elsewhere => None,
    })
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_covers_the_mesh_a_namespace_or_a_service() {
        let service = |service: &str, namespace: &str| Reach::Service {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
        };
        for (text, reach) in [
            ("*", Reach::Mesh),
            ("*.local", Reach::Mesh),
            ("*.svc.cluster.local", Reach::Mesh),
            (
                "*.shop.svc.cluster.local",
                Reach::Namespace("shop".to_owned()),
            ),
            ("cart", service("cart", "here")),
            ("cart.shop.svc.cluster.local", service("cart", "shop")),
            ("*.example.com", Reach::Elsewhere),
            ("example.com", Reach::Elsewhere),
            ("*.a.shop.svc.cluster.local", Reach::Elsewhere),
        ] {
            let host = Host::of_rule(text, "here", "cluster.local").unwrap();
            assert_eq!(host.reach, reach, "{text}");
        }
        for bad in [
            "",
            "*cart",
            "<host>",
            "a*",
            "cart.shop.svc",
            "*.",
            "http://cart",
        ] {
            assert!(
                Host::of_rule(bad, "here", "cluster.local").is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_whole_name_is_nearer_than_any_pattern() {
        let names = names_of("cart", "shop", "cluster.local");
        let nearness = |text: &str| {
            Host::of_rule(text, "shop", "cluster.local")
                .unwrap()
                .nearness(&names)
        };
        let in_order = ["other", "*", "*.local", "*.shop.svc.cluster.local", "cart"].map(nearness);
        assert!(
            in_order.is_sorted_by(|one, other| one < other),
            "{in_order:?}"
        );
        assert_eq!(nearness("*.cart.shop.svc.cluster.local"), None);
    }
}
