//! How do fingerprints and times look in the record's file? As people write them, so that it can be read in an
//! incident.

use std::fmt::Display;
use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error;

pub(super) fn serialize<S: Serializer>(
    value: &impl Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Values that may be absent.
pub(super) mod option {
    use super::Deserialize;
    use super::Deserializer;
    use super::Display;
    use super::Error as _;
    use super::FromStr;
    use super::Serializer;

    pub(in crate::rotation) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::rotation) fn deserialize<'de, D: Deserializer<'de>, T>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

/// Lists of values.
pub(super) mod list {
    use super::Deserialize;
    use super::Deserializer;
    use super::Display;
    use super::Error as _;
    use super::FromStr;
    use super::Serializer;

    pub(in crate::rotation) fn serialize<S: Serializer>(
        values: &[impl Display],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(in crate::rotation) fn deserialize<'de, D: Deserializer<'de>, T>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(D::Error::custom))
            .collect()
    }
}

/// Times of day.
pub(super) mod time {
    use std::time::SystemTime;

    use super::Deserializer;
    use super::Serializer;

    pub(in crate::rotation) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::serialize(&humantime::format_rfc3339(*time), serializer)
    }

    pub(in crate::rotation) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        super::deserialize::<D, humantime::Timestamp>(deserializer).map(Into::into)
    }
}

/// Times of day that may not have come.
pub(super) mod option_time {
    use std::time::SystemTime;

    use super::Deserializer;
    use super::Serializer;
    use super::option;

    pub(in crate::rotation) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        option::serialize(&time.map(humantime::format_rfc3339), serializer)
    }

    pub(in crate::rotation) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let time = option::deserialize::<D, humantime::Timestamp>(deserializer)?;
        Ok(time.map(Into::into))
    }
}
