use super::*;

const A: &str = "a";
const B: &str = "b";
const C: &str = "c";

/// Seconds, as everything is told here.
fn at(seconds: i64) -> TimestampMs {
    TimestampMs(seconds * 1000)
}

fn with_candidate<T>(replica: &str, samples: (i64, i64), look: impl FnOnce(&Candidate<'_>) -> T) -> T {
    let tenant = TenantId::anonymous();
    look(&Candidate { tenant: &tenant, cluster: "c", replica, oldest: at(samples.0), newest: at(samples.1) })
}

fn claim(previous: Option<&Election>, replica: &str, samples: (i64, i64)) -> Election {
    with_candidate(replica, samples, |candidate| {
        Election::claimed(previous, candidate, at(samples.1), &ElectionLimits::default())
    })
}

fn judge(election: &Election, replica: &str, samples: (i64, i64), now: i64) -> Verdict {
    let silent = Duration::from_millis((at(now).0 - election.heard_at().0).max(0) as u64);
    with_candidate(replica, samples, |candidate| election.judge(candidate, silent, at(now), &ElectionLimits::default()))
}

/// The seconds from 900 to 1,500 that a verdict takes, as ranges of them.
fn taken(verdict: Verdict) -> Vec<(i64, i64)> {
    let (Verdict::Take(share) | Verdict::TakeBefore(share)) = verdict else { panic!("{verdict:?} takes nothing") };
    let seconds: Vec<i64> = (900..=1500).filter(|second| share.has(at(*second))).collect();
    seconds.chunk_by(|one, next| one + 1 == *next).map(|run| (run[0], run[run.len() - 1])).collect()
}

#[test]
fn the_first_is_elected_and_the_others_wait_until_it_stored() {
    let claimed = claim(None, A, (1000, 1005));
    assert_eq!(taken(judge(&claimed, A, (1000, 1005), 1006)), [(900, 1500)]);
    assert_eq!(judge(&claimed, B, (1001, 1006), 1007), Verdict::Wait, "neither to be stored nor covered");
    assert_eq!(judge(&claimed, B, (1001, 1020), 1020), Verdict::Claim, "nothing came of the claim");
    let confirmed = claimed.confirmed(at(1006), at(1005));
    assert_eq!(judge(&confirmed, B, (1001, 1006), 1007), Verdict::Cover);
    assert_eq!(judge(&confirmed, B, (1001, 1035), 1035), Verdict::Cover);
    assert_eq!(judge(&confirmed, B, (1001, 1036), 1036), Verdict::Claim, "silent for 30 s");
    assert_eq!(judge(&confirmed, A, (1001, 1036), 1036), Verdict::Claim, "whoever comes first, the one elected too");
}

#[test]
fn what_lies_before_a_term_is_the_others() {
    let first = claim(None, A, (1000, 1005));
    assert_eq!(taken(judge(&first, B, (990, 995), 1006)), [(900, 999)], "whatever becomes of the claim");
    assert_eq!(judge(&first, B, (990, 1006), 1006), Verdict::Wait);
    let first = first.confirmed(at(1006), at(1005));
    assert_eq!(taken(judge(&first, B, (990, 1006), 1007)), [(900, 999)]);

    // A stops at 1100, B takes over at 1130, and A comes back with what it kept.
    let lapsed = first.confirmed(at(1100), at(1100));
    let second = claim(Some(&lapsed), B, (1126, 1130)).confirmed(at(1130), at(1130));
    assert_eq!(taken(judge(&second, A, (1095, 1135), 1135)), [(900, 1125)], "of the gap too, which nobody else has");
    assert_eq!(judge(&second, A, (1126, 1140), 1135), Verdict::Cover);
    assert_eq!(judge(&second, C, (1095, 1135), 1135), Verdict::Cover, "a third one would mix with it");
    assert_eq!(taken(judge(&second, B, (1090, 1131), 1131)), [(900, 999), (1101, 1500)], "what A stored is A's");
}

#[test]
fn a_claim_that_nothing_came_of_changes_no_term() {
    let first = claim(None, A, (1000, 1005)).confirmed(at(1100), at(1100));
    let dead = claim(Some(&first), B, (1126, 1130));
    let third = claim(Some(&dead), C, (1150, 1150)).confirmed(at(1150), at(1150));
    assert_eq!(taken(judge(&third, A, (1095, 1155), 1155)), [(900, 1149)]);
    let back = claim(Some(&dead), A, (1099, 1150)).confirmed(at(1150), at(1150));
    assert_eq!(taken(judge(&back, A, (1095, 1155), 1155)), [(900, 1500)]);
    assert_eq!(judge(&back, B, (1095, 1155), 1155), Verdict::Cover);
}

#[test]
fn the_one_elected_again_leaves_the_others_what_it_missed() {
    let first = claim(None, A, (1000, 1005)).confirmed(at(1100), at(1100));
    let restarted = claim(Some(&first), A, (1200, 1205)).confirmed(at(1205), at(1205));
    assert_eq!(taken(judge(&restarted, B, (1090, 1206), 1206)), [(900, 999), (1101, 1199)], "and what it kept of before");
    assert_eq!(taken(judge(&restarted, B, (990, 1050), 1206)), [(900, 999), (1101, 1199)]);
    assert_eq!(judge(&restarted, B, (1000, 1100), 1206), Verdict::Cover);
    assert_eq!(taken(judge(&restarted, A, (1090, 1206), 1206)), [(900, 1500)]);
    let goes_on = claim(Some(&restarted), A, (1235, 1300)).confirmed(at(1300), at(1300));
    assert_eq!(taken(judge(&goes_on, B, (1090, 1301), 1301)), [(900, 999), (1101, 1199)], "a term that goes on");
}

#[test]
fn one_that_claims_again_keeps_its_term_whatever_comes_of_it() {
    // A is silent from 1100 to 1135, and goes on with what it kept.
    let first =
        claim(Some(&claim(None, B, (900, 905)).confirmed(at(950), at(950))), A, (1000, 1005)).confirmed(at(1100), at(1100));
    let again = claim(Some(&first), A, (1101, 1135));
    assert_eq!(taken(judge(&again, A, (1101, 1136), 1136)), [(951, 1500)], "sent again");
    assert_eq!(judge(&again, A, (1110, 1136), 1136), Verdict::Wait, "it lost something of what it claimed with");
    assert_eq!(judge(&again, B, (1000, 1100), 1136), Verdict::Cover, "stored before");
    assert_eq!(judge(&again, B, (1000, 1101), 1136), Verdict::Wait);
    assert_eq!(judge(&again, A, (1140, 1150), 1150), Verdict::Claim);
    let restarted = claim(Some(&again), A, (1140, 1150)).confirmed(at(1150), at(1150));
    assert_eq!(
        taken(judge(&restarted, B, (990, 1150), 1151)),
        [(900, 999), (1101, 1139)],
        "what A lost, and nothing that it stored"
    );
    let other = claim(Some(&again), B, (1090, 1150)).confirmed(at(1150), at(1150));
    assert_eq!(taken(judge(&other, B, (990, 1151), 1151)), [(900, 999), (1101, 1500)]);
    assert_eq!(taken(judge(&other, A, (1095, 1120), 1151)), [(900, 1099)], "its term ends with what was stored of it");
}

#[test]
fn who_lags_behind_does_not_stay_elected() {
    let lagging = claim(None, A, (1000, 1005)).confirmed(at(1400), at(1100));
    assert_eq!(judge(&lagging, B, (1000, 1144), 1401), Verdict::Cover);
    assert_eq!(judge(&lagging, B, (1000, 1145), 1401), Verdict::Claim);
    assert_eq!(judge(&lagging, B, (1000, 1100), 1500), Verdict::Cover, "what is stored is there, whoever lives");
    let fresh = claim(Some(&lagging), B, (1390, 1400)).confirmed(at(1401), at(1400));
    assert_eq!(taken(judge(&fresh, A, (1101, 1150), 1402)), [(900, 1389)], "its rest is nobody else's");
}

#[test]
fn samples_of_the_future_do_not_count_as_later_than_now() {
    let election = claim(None, A, (1000, 1005)).confirmed(at(1006), at(9999));
    assert_eq!(election.stored.map(|stored| stored.newest), Some(at(1006)));
    assert_eq!(judge(&election, B, (1001, 9999), 1007), Verdict::Cover);
    let earlier = election.confirmed(at(1003), at(1001));
    assert_eq!(earlier.stored, election.stored, "nothing is taken back");
}

#[test]
fn records_stay_as_they_are() {
    let first = claim(None, A, (1000, 1005));
    let second = claim(Some(&first.confirmed(at(1006), at(1005))), B, (1050, 1060)).confirmed(at(1061), at(1060));
    let hex = |election: &Election| election.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let golden = [
        "0209016190d77a000000ffffffffffffffffff01ffffffffffffffffff0180897a80897a17227ede",
        "02090162c0b281010190c2810101c0b28101016180897a90d77aa09680013bf022a3",
    ];
    assert_eq!([hex(&first), hex(&second)], golden);
    let record = "0209016190d77a000000ffffffffffffffffff01ffffffffffffffffff0180897af3042e5b";
    let bytes: Vec<u8> = (0..record.len()).step_by(2).map(|at| u8::from_str_radix(&record[at..at + 2], 16).unwrap()).collect();
    assert_eq!(Election::decode(&bytes.into()), Ok(first.clone()), "as claims were recorded once");
    for election in [first, second] {
        assert_eq!(Election::decode(&election.encode()), Ok(election));
    }
}
