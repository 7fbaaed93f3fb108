//! How a run ends, and what it leaves on record.

use super::*;

#[test]
fn stopping_twice_neither_skips_nor_prolongs_and_an_unverified_end_keeps_the_dead_man_armed() {
    let mut params = params();
    params.shutdown_deadline = Duration::from_millis(300);
    let run = start(params, |_, _| {});
    run.wait(|saw| matches!(saw, Saw::Started).then_some(()));
    let asked = clock::instant();
    run.handle.send(Control::Stop).unwrap();
    run.handle.send(Control::Stop).unwrap();
    let ending = run.thread.join().unwrap().unwrap();
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(290), "the second request skipped the end: {took:?}");
    assert!(matches!(ending, Ending::MaybeLeft { .. }), "{ending:?}");
    assert!(!run.saw.iter().any(|saw| matches!(saw, Saw::Finished)), "finish disarms");
}

#[test]
fn sigterm_asks_for_an_orderly_end() {
    let mut params = params();
    params.signals = true;
    let run = start(params, |_, _| {});
    run.wait(|saw| matches!(saw, Saw::Started).then_some(()));
    for _ in 0..2 {
        let pid = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }
    assert!(matches!(run.thread.join().unwrap(), Ok(Ending::MaybeLeft { .. })));
}

#[test]
fn a_panic_is_a_bug_with_words_and_no_abort() {
    let run = start(params(), |saw, _| {
        assert!(!matches!(saw, Saw::Started), "as planned by the test");
    });
    let Err(LiveError::Bug(text)) = run.thread.join().unwrap() else { panic!("no bug") };
    assert!(text.contains("as planned"), "{text}");
}

#[test]
fn every_step_is_in_the_journal_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = params();
    let header = journal::Header::new(5, "hash");
    params.journal = Some((journal::Params::new(dir.path()), header));
    let run = start(params, |_, _| {});
    run.handle.send(Control::Pause).unwrap();
    run.handle.send(Control::Resume).unwrap();
    run.stop();
    let records: Vec<_> =
        journal::Reader::open(dir.path()).unwrap().map(|entry| entry.unwrap()).collect();
    let events: Vec<Event> = records.iter().flat_map(|(_, r)| r.inbox.clone()).collect();
    let control = |control| Event::Control(control);
    let wanted = [control(Control::Pause), control(Control::Resume), control(Control::Stop)];
    assert_eq!(events, wanted);
    assert!(records.iter().all(|(epoch, _)| *epoch == 5));
    let seqs: Vec<u64> = records.iter().map(|(_, r)| r.seq).collect();
    assert_eq!(seqs, (1..=records.len() as u64).collect::<Vec<_>>());
    assert!(records.windows(2).all(|pair| pair[0].1.now < pair[1].1.now));
}
