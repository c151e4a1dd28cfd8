//! How are those served who read over a socket? Their numbers for the scraper.

use prometheus::Registry;

use super::metrics::counter;
use super::metrics::plain;
use crate::sds::SdsStatus;
use crate::workload_api::WorkloadApiStatus;

/// How Envoys are served.
pub(super) fn readers(registry: &Registry, sds: &SdsStatus) -> prometheus::Result<()> {
    let gauges = [
        (
            "signet_agent_sds_listening",
            "1 when the SDS socket is there",
            u32::from(sds.is_listening),
        ),
        (
            "signet_agent_sds_streams",
            "Open SDS streams",
            u32::try_from(sds.streams).unwrap_or(u32::MAX),
        ),
    ];
    for (name, help, value) in gauges {
        plain(registry, name, help, f64::from(value))?;
    }
    let counters = [
        (
            "signet_agent_sds_pushes_total",
            "SDS answers sent",
            sds.pushes,
        ),
        (
            "signet_agent_sds_acks_total",
            "SDS answers acknowledged",
            sds.acknowledged,
        ),
        (
            "signet_agent_sds_nacks_total",
            "SDS answers refused by a reader",
            sds.refused,
        ),
        (
            "signet_agent_sds_turned_away_total",
            "SDS calls of peers that no workload's rule names",
            sds.turned_away,
        ),
    ];
    for (name, help, value) in counters {
        counter(registry, name, help, value)?;
    }
    Ok(())
}

/// Whether the readers keep a workload waiting.
pub(super) fn waiting(registry: &Registry, sds: &SdsStatus) -> prometheus::Result<()> {
    plain(
        registry,
        "signet_agent_sds_waiting",
        "1 when the CA is not told what is in use, because a stream has not acknowledged it",
        f64::from(u8::from(!sds.waiting_for.is_empty())),
    )
}

/// How workloads are served.
pub(super) fn workloads(registry: &Registry, api: &WorkloadApiStatus) -> prometheus::Result<()> {
    plain(
        registry,
        "signet_agent_workload_api_listening",
        "1 when the Workload API's socket is there",
        f64::from(u8::from(api.is_listening)),
    )?;
    plain(
        registry,
        "signet_agent_workload_api_streams",
        "Open calls of the Workload API",
        f64::from(u32::try_from(api.streams).unwrap_or(u32::MAX)),
    )?;
    counter(
        registry,
        "signet_agent_workload_api_pushes_total",
        "Messages sent by the Workload API",
        api.pushes,
    )?;
    counter(
        registry,
        "signet_agent_workload_api_refused_total",
        "Connections of peers that no rule names",
        api.refused,
    )
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::metrics::of_agent;
    use super::*;
    use crate::agent::Status;

    #[test]
    fn readers_by_sds_are_counted_where_there_may_be_some() {
        let now = SystemTime::UNIX_EPOCH;
        assert!(!of_agent(&Status::default(), now).contains("sds"));
        let status = Status {
            sds: Some(SdsStatus {
                is_listening: true,
                streams: 2,
                pushes: 9,
                acknowledged: 7,
                refused: 1,
                waiting_for: vec!["somebody".to_owned()],
                ..SdsStatus::default()
            }),
            ..Status::default()
        };
        let text = of_agent(&status, now);
        for line in [
            "signet_agent_sds_listening 1",
            "signet_agent_sds_streams 2",
            "signet_agent_sds_waiting 1",
            "signet_agent_sds_pushes_total 9",
            "signet_agent_sds_acks_total 7",
            "signet_agent_sds_nacks_total 1",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn workloads_are_counted_where_there_may_be_some() {
        let now = SystemTime::UNIX_EPOCH;
        assert!(!of_agent(&Status::default(), now).contains("workload_api"));
        let status = Status {
            workload_api: Some(WorkloadApiStatus {
                is_listening: true,
                problem: None,
                streams: 2,
                pushes: 9,
                refused: 1,
            }),
            ..Status::default()
        };
        let text = of_agent(&status, now);
        for line in [
            "signet_agent_workload_api_listening 1",
            "signet_agent_workload_api_streams 2",
            "signet_agent_workload_api_pushes_total 9",
            "signet_agent_workload_api_refused_total 1",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }
}
