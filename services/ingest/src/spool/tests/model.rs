//! Any sequence of what a pump and its callers do agrees with a map per lane.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Lane, usize),
    /// Per mille of what the lane counted so far, here and below.
    Ack(Lane, u64),
    Trim(Lane, u64),
    Rewind(Lane, u64),
    Park(Lane, u64),
    Remint,
    Reopen,
}

#[derive(Default)]
struct Model {
    records: BTreeMap<u64, Vec<u8>>,
    last: u64,
    acked: u64,
}

impl Model {
    fn first(&self) -> u64 {
        self.records.keys().next().copied().unwrap_or(self.last + 1)
    }

    fn at(&self, per_mille: u64) -> u64 {
        self.last * per_mille / 1000
    }

    fn trim(&mut self, seq: u64) {
        let kept = self.records.split_off(&(seq.min(self.acked) + 1));
        self.records = kept;
    }
}

fn step() -> impl Strategy<Value = Step> {
    let lane = || prop_oneof![3 => Just(Lane::Events), 1 => Just(Lane::Transcript)];
    let part = || 0..=1000_u64;
    prop_oneof![
        6 => (lane(), 0..40_usize).prop_map(|(lane, count)| Step::Append(lane, count)),
        4 => (lane(), part()).prop_map(|(lane, part)| Step::Ack(lane, part)),
        3 => (lane(), part()).prop_map(|(lane, part)| Step::Trim(lane, part)),
        1 => (lane(), part()).prop_map(|(lane, part)| Step::Rewind(lane, part)),
        1 => (lane(), part()).prop_map(|(lane, part)| Step::Park(lane, part)),
        1 => Just(Step::Remint),
        2 => Just(Step::Reopen),
    ]
}

async fn apply(step: Step, spool: &mut Spool, lanes: &mut [Model; 2], dir: &Path) {
    match step {
        Step::Append(lane, count) => {
            let model = &mut lanes[lane.index()];
            for origin in append_many(spool, lane, count).await {
                model.last += 1;
                assert_eq!(
                    origin,
                    Origin {
                        producer: spool.producer(),
                        seq: model.last
                    }
                );
                model.records.insert(origin.seq, encoded(origin, "one of many"));
            }
        }
        Step::Ack(lane, part) => {
            let model = &mut lanes[lane.index()];
            spool.mark_acked(lane, model.at(part));
            model.acked = model.acked.max(model.at(part));
        }
        Step::Trim(lane, part) => {
            let model = &mut lanes[lane.index()];
            spool.trim(lane, model.at(part)).await.unwrap();
            model.trim(model.at(part));
        }
        Step::Rewind(lane, part) => {
            let model = &mut lanes[lane.index()];
            model.acked = model.at(part).max(model.first() - 1).min(model.acked);
            assert_eq!(spool.rewind(lane, model.at(part)).await.unwrap(), model.acked);
        }
        Step::Park(lane, part) => {
            let model = &mut lanes[lane.index()];
            let seq = model.at(part);
            let parked = spool
                .park(lane, seq, "refused".to_owned(), b"tombstone".to_vec())
                .await
                .unwrap();
            let replaced = model.records.get_mut(&seq).map(|bytes| *bytes = b"tombstone".to_vec());
            assert_eq!(parked, replaced.is_some());
        }
        Step::Remint => {
            spool
                .remint_producer(|_, origin, old| [encoded(origin, ""), old].concat())
                .await
                .unwrap();
            for model in lanes {
                model.trim(model.acked);
                let owed = (1..).zip(std::mem::take(&mut model.records).into_values());
                let producer = spool.producer();
                model.records = owed
                    .map(|(seq, old)| (seq, [encoded(Origin { producer, seq }, ""), old].concat()))
                    .collect();
                (model.last, model.acked) = (model.last - model.acked, 0);
            }
        }
        Step::Reopen => {
            spool.close().await;
            *spool = open(dir);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_spool_agrees_with_a_map(steps in proptest::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let mut spool = open(dir.path());
            let mut lanes = [Model::default(), Model::default()];
            for step in steps {
                apply(step, &mut spool, &mut lanes, dir.path()).await;
                for lane in Lane::ALL {
                    let model = &lanes[lane.index()];
                    let places = (spool.first_seq(lane), spool.acked(lane), spool.last_seq(lane));
                    assert_eq!(places, (model.first(), model.acked, model.last));
                    let stored = spool.read_from(lane, 0, usize::MAX, usize::MAX).await.unwrap();
                    let stored: BTreeMap<_, _> = stored.into_iter().map(|record| (record.seq, record.bytes)).collect();
                    assert_eq!(stored, model.records);
                }
            }
        });
    }
}
