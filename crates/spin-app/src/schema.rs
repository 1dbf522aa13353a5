//! The manifest's text as Spin's schema has it (`spin_manifest_version = 2`). Unknown fields are errors there, and here.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, de};

/// What is read of any manifest, to know which version it is of.
#[derive(DeriveDeserialize)]
pub struct Probe {
    pub spin_manifest_version: Option<toml::Value>,
    pub spin_version: Option<toml::Value>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "spin_manifest_version")]
    pub _version: IgnoredAny,
    pub application: Application,
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    #[serde(rename = "trigger", default)]
    pub triggers: Triggers,
    #[serde(rename = "component", default)]
    pub components: BTreeMap<String, Component>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub description: String,
    #[serde(rename = "authors", default)]
    pub _authors: Vec<String>,
    #[serde(rename = "targets", default)]
    pub _targets: Option<IgnoredAny>,
    #[serde(rename = "trigger", default)]
    pub triggers: ApplicationTriggers,
    #[serde(rename = "tool", default)]
    pub _tool: Option<IgnoredAny>,
}

/// What holds for all triggers of a type; other types' is not read.
#[derive(Default, DeriveDeserialize)]
pub struct ApplicationTriggers {
    pub redis: Option<ApplicationRedis>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationRedis {
    pub address: String,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    #[serde(rename = "description", default)]
    pub _description: Option<String>,
    #[serde(default)]
    pub required: bool,
    pub default: Option<String>,
    #[serde(default)]
    pub secret: bool,
}

#[derive(Default, DeriveDeserialize)]
pub struct Triggers {
    #[serde(default)]
    pub http: Vec<HttpTrigger>,
    #[serde(default)]
    pub redis: Vec<RedisTrigger>,
    #[serde(flatten)]
    pub others: BTreeMap<String, IgnoredAny>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    #[serde(default)]
    pub id: String,
    pub component: Option<TextOr<Component>>,
    pub static_response: Option<StaticResponse>,
    pub components: Option<IgnoredAny>,
    pub dependencies: Option<IgnoredAny>,
    pub route: TextOr<Private>,
    pub executor: Option<Executor>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    pub private: bool,
}

#[derive(DeriveDeserialize)]
pub struct Executor {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticResponse {
    pub status_code: Option<u16>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisTrigger {
    #[serde(default)]
    pub id: String,
    pub component: TextOr<Component>,
    pub components: Option<IgnoredAny>,
    pub dependencies: Option<IgnoredAny>,
    pub channel: String,
    pub address: Option<String>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    pub source: TextOr<BTreeMap<String, IgnoredAny>>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub files: Vec<TextOr<Placement>>,
    #[serde(default)]
    pub exclude_files: Vec<String>,
    #[serde(default)]
    pub allowed_http_hosts: Vec<String>,
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    #[serde(default)]
    pub sqlite_databases: Vec<String>,
    #[serde(default)]
    pub ai_models: Vec<String>,
    #[serde(default)]
    pub dependencies: BTreeMap<String, IgnoredAny>,
    #[serde(rename = "dependencies_inherit_configuration", default)]
    pub _dependencies_inherit_configuration: Option<IgnoredAny>,
    #[serde(rename = "targets", default)]
    pub _targets: Option<IgnoredAny>,
    #[serde(rename = "build", default)]
    pub _build: Option<IgnoredAny>,
    #[serde(rename = "tool", default)]
    pub _tool: Option<IgnoredAny>,
    /// Other values for other profiles; the default one is used.
    #[serde(rename = "profile", default)]
    pub _profile: Option<IgnoredAny>,
}

#[derive(DeriveDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    pub source: String,
    pub destination: String,
}

/// A text, or a table of this type. Told apart by what is there, so that errors name what is wrong within the table.
pub enum TextOr<T> {
    Text(String),
    Table(Box<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a table")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<T>, E> {
        String::deserialize(StrDeserializer::new(text)).map(TextOr::Text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|table| TextOr::Table(table.into()))
    }
}
