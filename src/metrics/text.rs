//! The exposition formats: Prometheus' text format 0.0.4 and OpenMetrics 1.0.

use std::fmt::Write;

use crate::metrics::accept::Format;
use crate::metrics::families::{Family, Sample, Scale, Value, type_name};
use crate::shm::metrics::store::{BOUNDS, Kind};

/// Upper bounds of guests' histograms, as Envoy shows them to Prometheus by default. Doubled, as
/// the first is a half.
const PLAIN_DOUBLED: [u64; BOUNDS] = [
    1, 2, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 120_000, 600_000,
    1_200_000, 3_600_000, 7_200_000,
];

/// Upper bounds of callback times, in nanoseconds: 1 µs to 1 s.
pub const NANOSECONDS: [u64; BOUNDS] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// Upper bounds of guests' histograms for whole numbers: of these, 0 alone is not over a half.
pub const PLAIN: [u64; BOUNDS] = {
    let mut bounds = PLAIN_DOUBLED;
    let mut index = 0;
    while index < BOUNDS {
        bounds[index] /= 2;
        index += 1;
    }
    bounds
};

/// Writes all families.
pub fn write(families: &[Family], format: Format) -> String {
    let mut out = String::new();
    for family in families {
        // Writing to a string cannot fail.
        let _ = write_family(&mut out, family, format);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_family(out: &mut String, family: &Family, format: Format) -> std::fmt::Result {
    let total = match (family.kind, format) {
        (Kind::Counter, Format::OpenMetrics) => true,
        (Kind::Counter, Format::Text) => family.total,
        _ => false,
    };
    let sample_name = format!("{}{}", family.base, if total { "_total" } else { "" });
    // OpenMetrics names the counter's family without the suffix of its samples.
    let name = match format {
        Format::Text => &sample_name,
        Format::OpenMetrics => &family.base,
    };
    writeln!(out, "# HELP {name} {}", family.help)?;
    writeln!(out, "# TYPE {name} {}", type_name(family.kind))?;
    if let (Some(unit), Format::OpenMetrics) = (family.unit, format) {
        writeln!(out, "# UNIT {name} {unit}")?;
    }
    let bounds = bounds(family, format);
    for Sample { labels, value } in &family.samples {
        match value {
            Value::Counter(number) => write_sample(out, &sample_name, labels, number)?,
            Value::Gauge(number) => write_sample(out, &sample_name, labels, number)?,
            Value::Histogram { buckets, sum } => {
                let mut count = 0u64;
                for (bucket, bound) in buckets.iter().zip(&bounds) {
                    count = count.wrapping_add(*bucket);
                    let comma = if labels.is_empty() { "" } else { "," };
                    let labels = labels.strip_prefix(',').unwrap_or_default();
                    writeln!(
                        out,
                        "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"
                    )?;
                }
                match family.scale {
                    Scale::Plain => write_sample(out, &format!("{name}_sum"), labels, sum)?,
                    Scale::Seconds => {
                        let sum = format!("{}.{:09}", sum / 1_000_000_000, sum % 1_000_000_000);
                        write_sample(out, &format!("{name}_sum"), labels, &sum)?;
                    }
                }
                write_sample(out, &format!("{name}_count"), labels, &count)?;
            }
        }
    }
    Ok(())
}

fn write_sample(
    out: &mut String,
    name: &str,
    labels: &str,
    value: &dyn std::fmt::Display,
) -> std::fmt::Result {
    match labels.strip_prefix(',') {
        None => writeln!(out, "{name} {value}"),
        Some(labels) => writeln!(out, "{name}{{{labels}}} {value}"),
    }
}

/// The values of `le`. OpenMetrics wants a decimal point in them.
fn bounds(family: &Family, format: Format) -> Vec<String> {
    if family.kind != Kind::Histogram {
        return Vec::new();
    }
    let whole = |number: u64| match format {
        Format::Text => number.to_string(),
        Format::OpenMetrics => format!("{number}.0"),
    };
    let show = |index: usize| match family.scale {
        Scale::Plain if PLAIN_DOUBLED[index] % 2 == 1 => "0.5".to_owned(),
        Scale::Plain => whole(PLAIN[index]),
        Scale::Seconds if NANOSECONDS[index].is_multiple_of(1_000_000_000) => {
            whole(NANOSECONDS[index] / 1_000_000_000)
        }
        Scale::Seconds => {
            let digits = format!("{:09}", NANOSECONDS[index]);
            format!("0.{}", digits.trim_end_matches('0'))
        }
    };
    let mut bounds: Vec<_> = (0..BOUNDS).map(show).collect();
    bounds.push("+Inf".into());
    bounds
}
