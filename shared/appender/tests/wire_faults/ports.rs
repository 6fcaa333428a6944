//! Each fault at each port: what a call makes of it, and how many requests that takes.

use std::time::Duration;

use model::ErrorKind;
use store::error::object_error_kind;
use store::objects::{GetRange, ObjectPath, ObjectStoreExt};
use store::{Cas, Delete, Put, RecordKey, RetryPolicy};
use testkit::WireFault;
use testkit::fault_proxy::Answer;

use crate::setup::{POLICY, Setup};

/// Everything that passes, each by itself.
fn passing(answers: &[Answer]) -> Vec<WireFault> {
    let mut faults = vec![
        WireFault::ResetBefore,
        WireFault::ResetAfter,
        WireFault::HangBefore,
        WireFault::HangAfter,
        WireFault::AnswerBefore(Answer::gateway(502)),
        WireFault::AnswerAfter(Answer::gateway(504)),
        WireFault::Torn,
    ];
    for answer in answers {
        faults.extend([WireFault::AnswerBefore(answer.clone()), WireFault::AnswerAfter(answer.clone())]);
    }
    faults
}

fn dynamodb_faults() -> Vec<WireFault> {
    let mut faults = passing(&[Answer::dynamodb(500, "InternalServerError"), Answer::dynamodb(503, "ServiceUnavailable")]);
    let throttled = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];
    faults.extend(throttled.map(|code| WireFault::AnswerBefore(Answer::dynamodb(400, code))));
    faults
}

fn s3_faults() -> Vec<WireFault> {
    let answers = [Answer::s3(500, "InternalError"), Answer::s3(503, "SlowDown"), Answer::s3(503, "ServiceUnavailable")];
    let mut faults = passing(&answers);
    // S3 answers these before it did anything.
    faults.push(WireFault::AnswerBefore(Answer::s3(400, "RequestTimeout")));
    faults.push(WireFault::AnswerBefore(Answer::s3(409, "OperationAborted")));
    faults
}

fn key(sort: impl Into<String>) -> RecordKey {
    RecordKey { partition: "p".into(), sort: sort.into() }
}

/// One fault, then health: every call of both ports does what it was asked for, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_in_passing_is_not_seen() {
    let policy = RetryPolicy { attempt_max: Duration::from_millis(700), ..POLICY };
    let Some(setup) = Setup::start("ports::a_fault_in_passing_is_not_seen", policy).await else { return };
    for (number, fault) in dynamodb_faults().into_iter().enumerate() {
        let key = key(format!("k{number}"));
        let once = || setup.dynamodb.script([fault.clone()]);
        once();
        // After a lost answer our own put is found to be there.
        let put = setup.records.put_if_absent(&key, "1".into()).await.unwrap();
        assert!(matches!(put, Put::Written | Put::Exists), "{fault:?}");
        once();
        assert_eq!(setup.records.get(&key).await.unwrap().unwrap().value, "1", "{fault:?}");
        once();
        let cas = setup.records.cas_update(&key, 1, "2".into()).await.unwrap();
        assert!(matches!(cas, Cas::Updated | Cas::Stale), "{fault:?}");
        let record = setup.plain.1.get(&key).await.unwrap().unwrap();
        assert_eq!((record.value, record.version), ("2".into(), 2), "{fault:?}: once");
        once();
        assert_eq!(setup.records.query_prefix("p", &key.sort).await.unwrap().len(), 1, "{fault:?}");
        once();
        assert_eq!(setup.records.count_prefix("p", &key.sort, 9).await.unwrap(), 1, "{fault:?}");
        once();
        assert_eq!(setup.records.delete_if(&key, 2).await.unwrap(), Delete::Deleted, "{fault:?}");
        assert_eq!(setup.plain.1.get(&key).await.unwrap(), None, "{fault:?}");
    }
    let body: Vec<u8> = (0..50_000u32).map(|i| i as u8).collect();
    for (number, fault) in s3_faults().into_iter().enumerate() {
        let path = ObjectPath::from(format!("o/{number}"));
        let once = || setup.s3.script([fault.clone()]);
        once();
        setup.objects.put(&path, body.clone().into()).await.unwrap();
        once();
        assert_eq!(setup.objects.get(&path).await.unwrap().bytes().await.unwrap(), body, "{fault:?}");
        once();
        assert_eq!(setup.objects.get_range(&path, 10..20_000).await.unwrap(), body[10..20_000], "{fault:?}");
        once();
        let tail =
            setup.objects.get_opts(&path, store::objects::GetOptions { range: Some(GetRange::Suffix(9)), ..Default::default() });
        assert_eq!(tail.await.unwrap().bytes().await.unwrap(), body[body.len() - 9..], "{fault:?}");
        // A head's answer has no body that could name a code: S3 says this of uploads only.
        if fault != WireFault::AnswerBefore(Answer::s3(400, "RequestTimeout")) {
            once();
        }
        assert_eq!(setup.objects.head(&path).await.unwrap().size, body.len() as u64, "{fault:?}");
        once();
        setup.objects.delete(&path).await.unwrap();
        assert!(setup.plain.0.head(&path).await.is_err(), "{fault:?}");
    }
    assert!(
        setup.dynamodb.counts().1 >= 6 * dynamodb_faults().len() as u64
            && setup.s3.counts().1 >= 6 * s3_faults().len() as u64 - 1
    );
}

/// A fault that stays: five attempts, then an error that says what is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_stays_ends_after_five_attempts() {
    let policy = RetryPolicy { attempt_max: Duration::from_millis(300), ..POLICY };
    let Some(setup) = Setup::start("ports::a_fault_that_stays_ends_after_five_attempts", policy).await else { return };
    for (number, fault) in dynamodb_faults().into_iter().enumerate() {
        let (stays, key) = (fault.clone(), key(format!("k{number}")));
        setup.dynamodb.decide(move |_| stays.clone());
        let before = setup.dynamodb.counts().0;
        let error = setup.records.get(&key).await.unwrap_err();
        assert_eq!((error.kind(), error.is_unknown_outcome()), (ErrorKind::Unavailable, false), "{fault:?}: {error:?}");
        assert_eq!(setup.dynamodb.counts().0 - before, 5, "{fault:?}");
        match setup.records.put_if_absent(&key, "1".into()).await {
            Err(error) => {
                // Only where the service said so nothing happened.
                let throttled = matches!(&fault, WireFault::AnswerBefore(answer) if answer.status == 400);
                assert_eq!(
                    (error.kind(), error.is_unknown_outcome()),
                    (ErrorKind::Unavailable, !throttled),
                    "{fault:?}: {error:?}"
                );
                assert_eq!(setup.dynamodb.counts().0 - before, 10, "{fault:?}");
            }
            Ok(put) => panic!("{fault:?}: {put:?}"),
        }
        setup.dynamodb.heal();
    }
    for (number, fault) in s3_faults().into_iter().enumerate() {
        let (stays, path) = (fault.clone(), ObjectPath::from(format!("o/{number}")));
        setup.s3.decide(move |_| stays.clone());
        let before = setup.s3.counts().0;
        let error = setup.objects.put(&path, "x".into()).await.unwrap_err();
        assert_eq!(object_error_kind(&error), ErrorKind::Unavailable, "{fault:?}: {error:?}");
        assert_eq!(setup.s3.counts().0 - before, 5, "{fault:?}");
        setup.s3.heal();
    }
}

/// What will be refused again is not sent again.
#[tokio::test]
async fn refusals_are_not_repeated() {
    let Some(setup) = Setup::start("ports::refusals_are_not_repeated", POLICY).await else { return };
    for code in ["ResourceNotFoundException", "AccessDeniedException", "ValidationException", "UnrecognizedClientException"] {
        setup.dynamodb.decide(move |_| WireFault::AnswerBefore(Answer::dynamodb(400, code)));
        let before = setup.dynamodb.counts().0;
        let error = setup.records.put_if_absent(&key("k"), "1".into()).await.unwrap_err();
        assert_eq!((error.kind(), setup.dynamodb.counts().0 - before), (ErrorKind::Internal, 1), "{code}: {error:?}");
    }
    for (status, code) in
        [(403, "AccessDenied"), (400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect"), (401, "Unauthorized")]
    {
        setup.s3.decide(move |_| WireFault::AnswerBefore(Answer::s3(status, code)));
        let before = setup.s3.counts().0;
        let error = setup.objects.put(&ObjectPath::from("o"), "1".into()).await.unwrap_err();
        assert_eq!((object_error_kind(&error), setup.s3.counts().0 - before), (ErrorKind::Internal, 1), "{code}: {error:?}");
    }
}

/// Nobody listens; then somebody does.
#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let Some(setup) = Setup::start("ports::a_refused_connection_is_unavailable", POLICY).await else { return };
    let Setup { s3, dynamodb, objects, records, plain, .. } = setup;
    drop((s3, dynamodb));
    // The proxies' tasks end at their next turn.
    tokio::task::yield_now().await;
    let error = records.put_if_absent(&key("k"), "1".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(plain.1.get(&key("k")).await.unwrap(), None);
    let error = objects.put(&ObjectPath::from("o"), "1".into()).await.unwrap_err();
    assert_eq!(object_error_kind(&error), ErrorKind::Unavailable, "{error:?}");
}

/// A body that trickles is given up and fetched again.
#[tokio::test]
async fn a_slow_body_is_fetched_again() {
    let policy = RetryPolicy { attempt_max: Duration::from_millis(400), ..POLICY };
    let Some(setup) = Setup::start("ports::a_slow_body_is_fetched_again", policy).await else { return };
    let (path, body) = (ObjectPath::from("o"), vec![7; 10_000]);
    setup.objects.put(&path, body.clone().into()).await.unwrap();
    let before = setup.s3.counts().0;
    setup.s3.script([WireFault::Slow(Duration::from_millis(20)), WireFault::Torn]);
    assert_eq!(setup.objects.get(&path).await.unwrap().bytes().await.unwrap(), body);
    assert_eq!(setup.s3.counts().0 - before, 3);
    // A slow answer of few bytes is an answer.
    setup.dynamodb.script([WireFault::Slow(Duration::from_millis(1))]);
    assert_eq!(setup.records.put_if_absent(&key("k"), "1".into()).await.unwrap(), Put::Written);
}

/// Of a conditional put only what decided nothing is repeated: a lost answer is the caller's to resolve.
#[tokio::test]
async fn conditions_are_not_repeated_blindly() {
    let Some(setup) = Setup::start("ports::conditions_are_not_repeated_blindly", POLICY).await else { return };
    let create = |path: &str| {
        let (objects, path) = (setup.objects.clone(), ObjectPath::from(path));
        async move { objects.put_opts(&path, "1".into(), store::objects::PutMode::Create.into()).await }
    };
    setup.s3.script([WireFault::AnswerBefore(Answer::s3(409, "ConditionalRequestConflict"))]);
    create("conflict").await.unwrap();
    setup.s3.script([WireFault::ResetAfter]);
    assert_eq!(object_error_kind(&create("lost").await.unwrap_err()), ErrorKind::Unavailable);
    assert_eq!(object_error_kind(&create("lost").await.unwrap_err()), ErrorKind::Conflict);
}
