//! Which series of which parts a selector found, joined by number.

use super::LeafPart;

/// What is selected of each part: ordinals, and the numbers of their series.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) parts: Vec<(Vec<u32>, Vec<u32>)>,
}

impl Selection {
    /// One past the largest number.
    fn end(&self) -> usize {
        self.parts.iter().flat_map(|(_, numbers)| numbers).max().map_or(0, |last| *last as usize + 1)
    }

    /// Lists the numbers, each once.
    pub(super) fn distinct(&self) -> Vec<u32> {
        let mut seen = vec![false; self.end()];
        let numbers = self.parts.iter().flat_map(|(_, numbers)| numbers);
        numbers.filter(|number| !std::mem::replace(&mut seen[**number as usize], true)).copied().collect()
    }

    /// Lays the series out in the order of `numbers`, the sources of each side by side in the order of parts: samples of each,
    /// ends of their sources, sources.
    pub(super) fn laid_out(self, numbers: &[u32], parts: &[LeafPart]) -> (Vec<u64>, Vec<u32>, Vec<(u32, u32)>) {
        let mut place_of = vec![0u32; self.end()];
        numbers.iter().enumerate().for_each(|(place, number)| place_of[*number as usize] = place as u32);
        let (mut samples, mut ends) = (vec![0u64; numbers.len()], vec![0u32; numbers.len()]);
        for ((ordinals, numbers), part) in self.parts.iter().zip(parts) {
            for (ordinal, number) in ordinals.iter().zip(numbers) {
                let place = place_of[*number as usize] as usize;
                samples[place] += part.open.index.index.rows_of(*ordinal);
                ends[place] += 1;
            }
        }
        let mut next = Vec::with_capacity(ends.len());
        let mut end = 0;
        for count in &mut ends {
            next.push(end);
            end += *count;
            *count = end;
        }
        let mut sources = vec![(0, 0); end as usize];
        for (part, (ordinals, numbers)) in self.parts.iter().enumerate() {
            for (ordinal, number) in ordinals.iter().zip(numbers) {
                let at = &mut next[place_of[*number as usize] as usize];
                sources[*at as usize] = (part as u32, *ordinal);
                *at += 1;
            }
        }
        (samples, ends, sources)
    }
}
