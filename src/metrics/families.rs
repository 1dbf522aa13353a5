//! Metrics as families of samples with names that are valid together.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::metrics::host_families::HOST_FAMILIES;
use crate::metrics::names;
use crate::metrics::names::push_label;
use crate::shm::metrics::store::{BOUNDS, Kind, MetricId, Metrics, Owner};

/// What a family's histograms count, and how their buckets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A guest's own unit.
    Plain,
    /// Kept in nanoseconds, shown in seconds.
    Seconds,
}

/// Samples under one name.
pub struct Family {
    /// Without the counter's `_total`.
    pub base: String,
    /// Was the counter's name given with `_total`?
    pub total: bool,
    pub kind: Kind,
    pub help: &'static str,
    /// The last word of the name, where it is a unit.
    pub unit: Option<&'static str>,
    pub scale: Scale,
    pub samples: Vec<Sample>,
}

pub struct Sample {
    /// As [`push_label`] writes them.
    pub labels: String,
    pub value: Value,
}

pub enum Value {
    Counter(u64),
    Gauge(i64),
    Histogram {
        /// Not cumulative; the last one has no upper bound.
        buckets: [u64; BOUNDS + 1],
        sum: u64,
    },
}

/// Guests' metrics are not among the host's, whatever their names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Host,
    Guests,
}

/// Collects metrics into families.
#[derive(Default)]
pub struct Families {
    all: Vec<Family>,
    /// By owner, kind, and the name before it was made to fit among the others.
    known: HashMap<(Whose, Kind, String), usize>,
    /// Every name that a sample or a family has.
    taken: HashSet<String>,
    /// The place of a sample in its family, by that and its labels.
    samples: HashMap<(usize, String), usize>,
}

impl Families {
    /// The host's families, which have the first choice of names, without samples.
    pub fn new() -> Families {
        let mut families = Families::default();
        for host in HOST_FAMILIES {
            families.family(Whose::Host, host.kind, host.name);
            if let Some(family) = families.all.last_mut() {
                family.help = host.help;
                family.unit = host.unit;
                family.scale = host.scale;
            }
        }
        families
    }

    /// Families that have samples, the host's first.
    pub fn into_vec(mut self) -> Vec<Family> {
        self.all.retain(|family| !family.samples.is_empty());
        self.all
    }

    /// Adds all metrics of a store. `is_alive`: does the process of this slot still run?
    pub fn collect(&mut self, metrics: Metrics<'_>, mut is_alive: impl FnMut(u8) -> bool) {
        let mut spaces: HashMap<MetricId, String> = HashMap::new();
        for id in 1..=metrics.count() {
            let (Some((key, name)), Some((_, values))) = (metrics.describe(id), metrics.values(id))
            else {
                continue;
            };
            if key.kind == Kind::Space {
                let mut label = String::new();
                push_label(&mut label, "module", &String::from_utf8_lossy(&name));
                spaces.insert(id, label);
                continue;
            }
            let Some(value) = Value::read(key.kind, values) else {
                continue;
            };
            let module = spaces.get(&key.space).map_or("", String::as_str);
            match key.owner {
                Owner::Guest => self.add_guests(key.kind, module, &name, value),
                Owner::Worker(slot) if !is_alive(slot) => {}
                Owner::Host | Owner::Worker(_) => {
                    let name = String::from_utf8_lossy(&name);
                    let (family, labels) = name.split_at(name.find(',').unwrap_or(name.len()));
                    self.add(key.kind, family, format!("{module}{labels}"), value);
                }
            }
        }
    }

    /// Adds a sample of the host's; the parts of several workers are summed up.
    pub fn add(&mut self, kind: Kind, family: &str, labels: String, value: Value) {
        let family = self.family(Whose::Host, kind, family);
        let samples = &mut self.all[family].samples;
        match self.samples.entry((family, labels)) {
            Entry::Vacant(entry) => {
                let labels = entry.key().1.clone();
                entry.insert(samples.len());
                samples.push(Sample { labels, value });
            }
            Entry::Occupied(entry) => {
                if let Some(sample) = samples.get_mut(*entry.get()) {
                    sample.value.add(value);
                }
            }
        }
    }

    /// Adds a guest's metric. Where another name of the module's has come out the same, a label
    /// has the guest's own name.
    fn add_guests(&mut self, kind: Kind, module: &str, raw: &[u8], value: Value) {
        let name = names::parse(raw);
        let family = self.family(Whose::Guests, kind, &name.family);
        let mut labels = format!("{module}{}", name.labels);
        if self.samples.contains_key(&(family, labels.clone())) {
            push_label(&mut labels, "metric", &names::shown(raw));
        }
        let samples = &mut self.all[family].samples;
        self.samples.insert((family, labels.clone()), samples.len());
        samples.push(Sample { labels, value });
    }

    /// The family of this kind and name, which is made when there is none. Where its name, or one
    /// that its samples have, is taken by another one, the kind is appended, and if need be a number.
    fn family(&mut self, whose: Whose, kind: Kind, name: &str) -> usize {
        let (base, total) = match (kind, name.strip_suffix("_total")) {
            // Parsers take the suffix away, too.
            (Kind::Counter, Some("")) => ("_", true),
            (Kind::Counter, Some(base)) => (base, true),
            _ => (name, false),
        };
        let key = (whose, kind, base.to_owned());
        if let Some(&index) = self.known.get(&key) {
            return index;
        }
        let mut fitting = base.to_owned();
        let mut tries = 1;
        while !self.take(kind, &fitting) {
            fitting = format!("{base}_{}", type_name(kind));
            if tries > 1 {
                fitting.push_str(&format!("_{tries}"));
            }
            tries += 1;
        }
        self.known.insert(key, self.all.len());
        self.all.push(Family {
            base: fitting,
            total,
            kind,
            help: "Defined by filters.",
            unit: None,
            scale: Scale::Plain,
            samples: Vec::new(),
        });
        self.all.len() - 1
    }

    /// Takes the names of a family's samples, in both formats; `false` when one is taken.
    fn take(&mut self, kind: Kind, base: &str) -> bool {
        let suffixes: &[&str] = match kind {
            Kind::Counter => &["", "_total", "_created"],
            Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
            Kind::Gauge | Kind::Space => &[""],
        };
        let names: Vec<_> = suffixes.iter().map(|s| format!("{base}{s}")).collect();
        let free = names.iter().all(|name| !self.taken.contains(name));
        if free {
            self.taken.extend(names);
        }
        free
    }
}

/// The type as TYPE lines have it.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Space => "unknown",
    }
}

impl Value {
    fn read(kind: Kind, words: &[std::sync::atomic::AtomicU64]) -> Option<Value> {
        use std::sync::atomic::Ordering::Relaxed;
        let number = |index: usize| words.get(index).map(|word| word.load(Relaxed));
        Some(match kind {
            Kind::Space => return None,
            Kind::Counter => Value::Counter(number(0)?),
            // Guests take away from gauges: what is below zero is no huge number.
            Kind::Gauge => Value::Gauge(number(0)? as i64),
            Kind::Histogram => {
                let mut buckets = [0; BOUNDS + 1];
                for (index, bucket) in buckets.iter_mut().enumerate() {
                    *bucket = number(index)?;
                }
                let sum = number(BOUNDS + 1)?;
                Value::Histogram { buckets, sum }
            }
        })
    }

    fn add(&mut self, other: Value) {
        match (self, other) {
            (Value::Counter(a), Value::Counter(b)) => *a = a.wrapping_add(b),
            (Value::Gauge(a), Value::Gauge(b)) => *a = a.wrapping_add(b),
            // The host has histograms for all workers together only.
            _ => {}
        }
    }
}
