//! Does the server ask us to wait? `retry-after` (RFC 9110 section 10.2.3), gRPC's
//! `grpc-retry-pushback-ms`, or a `google.rpc.RetryInfo` in the status' details.

use std::time::Duration;

use tonic_types::StatusExt as _;

/// How long the server wants us to wait, at most [`LONGEST`]: the word of a server that has gone mad
/// must not end renewal.
pub(crate) fn pushback(status: &tonic::Status) -> Option<Duration> {
    let header = |name: &str| {
        status
            .metadata()
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let asked = header("grpc-retry-pushback-ms")
        .map(Duration::from_millis)
        .or_else(|| header("retry-after").map(Duration::from_secs))
        .or_else(|| status.get_details_retry_info()?.retry_delay);
    asked.map(|wait| wait.min(LONGEST))
}

const LONGEST: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic::Status;
    use tonic_types::ErrorDetails;

    use super::*;

    fn told(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut status = Status::unavailable("busy");
        status.metadata_mut().insert(name, value.parse().unwrap());
        pushback(&status)
    }

    #[test]
    fn each_way_of_asking_is_understood() {
        let seven = Some(Duration::from_secs(7));
        assert_eq!(told("retry-after", "7"), seven);
        assert_eq!(told("grpc-retry-pushback-ms", "7000"), seven);
        let details = ErrorDetails::with_retry_info(seven);
        let status = Status::with_error_details(Code::Unavailable, "busy", details);
        assert_eq!(pushback(&status), seven);
    }

    #[test]
    fn nonsense_is_no_pushback_and_for_ever_is_a_quarter_of_an_hour() {
        assert_eq!(told("retry-after", "soon"), None);
        assert_eq!(told("grpc-retry-pushback-ms", "-1"), None);
        assert_eq!(pushback(&Status::unavailable("busy")), None);
        assert_eq!(told("retry-after", "999999999"), Some(LONGEST));
    }
}
