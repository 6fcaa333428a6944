//! Any order of compactions gives the same rows.

use compactor::Policy;
use model::Hour;

use crate::world::{HOUR, Visible, World, hours, minutes, small_policy};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test]
async fn any_order_of_compactions_gives_the_same_rows() {
    for seed in 0..20u64 {
        let mut random = Random(seed);
        let mut world = World::new();
        let mut expected = Visible::new();
        for _ in 0..12 {
            if expected.is_empty() || random.below(2) == 0 {
                let hour = Hour(HOUR.0 - random.below(3) as i64);
                world.fill(hour, 1 + random.below(5)).await;
                expected = world.visible().await;
            }
            world.policy = Policy {
                l0_files: 1 + random.below(4) as usize,
                l1_files: 2,
                late_parts: 1 + random.below(4) as usize,
                inputs_max: 2 + random.below(3) as usize,
                output_bytes: [1, 2000, 128 << 20][random.below(3) as usize],
                ..small_policy()
            };
            world.run().await;
            world.clock.advance([minutes(1), minutes(7), minutes(40), hours(5)][random.below(4) as usize]);
            assert_eq!(world.visible().await, expected, "seed {seed}");
        }
    }
}
