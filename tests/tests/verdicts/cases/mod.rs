//! The chains of the matrix: each breaks one rule, or none.

mod leaf;
mod path;
mod search;

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::chain::Profile;
use rcgen::date_time_ymd;

use crate::judges::Material;
use crate::pki::Ca;
use crate::pki::Change;

/// One chain and what is known of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The rule that Signet must name, or `valid`.
    pub(crate) rule: &'static str,
    /// Why another judge sees it differently; empty if none does.
    pub(crate) why: &'static str,
    pub(crate) material: Material,
}

/// Every case, in the order of the document.
pub(crate) fn cases() -> Vec<Case> {
    let tables = [path::cases(), search::cases(), leaf::cases()];
    tables.into_iter().flatten().collect()
}

/// Name, rule, why others differ, and the changes to root, intermediate and leaf.
type Row = (&'static str, &'static str, &'static str, [Change; 3]);

fn case(name: &'static str, rule: &'static str, why: &'static str, material: Material) -> Case {
    Case {
        name,
        rule,
        why,
        material,
    }
}

fn three_each(rows: &[Row]) -> impl Iterator<Item = Case> {
    let row = |(name, rule, why, [root, middle, leaf]): &Row| {
        case(name, rule, why, three(*root, *middle, *leaf))
    };
    rows.iter().map(row)
}

/// Root, intermediate and leaf, each with a change.
fn three(root: Change, middle: Change, leaf: Change) -> Material {
    let root = Ca::root("root", root);
    let middle = root.below("middle", middle);
    let leaf = middle.leaf(leaf);
    material(vec![leaf, middle.certificate], &[&root])
}

fn material(chain: Vec<Certificate>, roots: &[&Ca]) -> Material {
    Material {
        chain,
        roots: roots.iter().map(|ca| ca.certificate.clone()).collect(),
        profile: Profile::X509Svid,
        at: SystemTime::from(date_time_ymd(2030, 1, 1)) + Duration::from_secs(1),
    }
}
