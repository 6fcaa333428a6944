//! The tree of Drain: by number of tokens, then token by token to a leaf, where the most similar cluster is taken.

use hashbrown::HashMap;

use super::PLACEHOLDER;
use super::tokens::{Format, Tokens, text};

/// Tokens that lead to a leaf (Loki: depth 30, of which the root and the length are two).
const DEPTH_MAX: usize = 28;
/// Share of tokens a line must have in common with a cluster (Loki: 0.3).
const SIMILARITY_MIN: f64 = 0.3;
/// Edges of a node; beyond them tokens count as variable (Loki: 15).
const CHILDREN_MAX: usize = 15;
/// Clusters kept; the one not met for longest gives way (Loki: 300).
const CLUSTERS_MAX: usize = 300;

/// Clusters of one stream and level.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) number: u32,
    format: Format,
    nodes: Vec<Node>,
    /// First node by number of tokens.
    roots: HashMap<usize, usize>,
    clusters: HashMap<u32, Cluster>,
    clusters_made: u32,
    lines: u64,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<String, usize>,
    clusters: Vec<u32>,
}

#[derive(Debug)]
struct Cluster {
    tokens: Tokens,
    /// Which line met it last.
    met: u64,
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Learned {
    /// Where it belongs.
    pub(super) cluster: u32,
    /// Which cluster gave way.
    pub(super) forgotten: Option<u32>,
}

impl Tree {
    pub(super) fn new(number: u32, format: Format) -> Tree {
        let (nodes, roots, clusters) = (Vec::new(), HashMap::new(), HashMap::new());
        Tree { number, format, nodes, roots, clusters, clusters_made: 0, lines: 0 }
    }

    /// Returns the clusters' numbers and texts.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (u32, String)> {
        self.clusters.iter().map(|(number, cluster)| (*number, text(&cluster.tokens, self.format)))
    }

    /// Adds a line to the cluster it is most similar to, or to a new one.
    pub(super) fn learn(&mut self, tokens: Tokens) -> Learned {
        self.lines += 1;
        if let Some(number) = self.leaf(&tokens.texts).and_then(|leaf| self.most_similar(leaf, &tokens.texts)) {
            let cluster = self.clusters.get_mut(&number).expect("it was just looked at");
            cluster.met = self.lines;
            for (known, _) in cluster.tokens.texts.iter_mut().zip(&tokens.texts).filter(|(known, token)| known != token) {
                PLACEHOLDER.clone_into(known);
            }
            return Learned { cluster: number, forgotten: None };
        }
        let forgotten = (self.clusters.len() >= CLUSTERS_MAX).then(|| self.forget()).flatten();
        self.clusters_made += 1;
        let leaf = self.grow(&tokens.texts);
        let (nodes, clusters) = (&mut self.nodes, &self.clusters);
        nodes[leaf].clusters.retain(|number| clusters.contains_key(number));
        nodes[leaf].clusters.push(self.clusters_made);
        self.clusters.insert(self.clusters_made, Cluster { tokens, met: self.lines });
        Learned { cluster: self.clusters_made, forgotten }
    }

    /// Removes the cluster that was not met for longest.
    fn forget(&mut self) -> Option<u32> {
        let oldest = self.clusters.iter().min_by_key(|(_, cluster)| cluster.met).map(|(number, _)| *number)?;
        self.clusters.remove(&oldest);
        Some(oldest)
    }

    fn leaf(&self, tokens: &[String]) -> Option<usize> {
        let mut node = *self.roots.get(&tokens.len())?;
        for token in path(tokens) {
            let children = &self.nodes[node].children;
            node = *children.get(token).or_else(|| children.get(PLACEHOLDER))?;
        }
        Some(node)
    }

    fn most_similar(&self, leaf: usize, tokens: &[String]) -> Option<u32> {
        let numbers = self.nodes[leaf].clusters.iter();
        let similar = numbers.filter_map(|number| Some((similarity(&self.clusters.get(number)?.tokens.texts, tokens), *number)));
        // Of equally similar ones the one with more placeholders, then the older one.
        let best = similar.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        (best.0.0 as f64 >= SIMILARITY_MIN * tokens.len() as f64).then_some(best.1)
    }

    /// Returns the leaf for a new cluster, with the nodes that lead to it.
    fn grow(&mut self, tokens: &[String]) -> usize {
        let mut node = match self.roots.get(&tokens.len()) {
            Some(node) => *node,
            None => {
                let node = self.add_node();
                *self.roots.entry(tokens.len()).or_insert(node)
            }
        };
        for token in path(tokens) {
            let edge = edge(&self.nodes[node], token).to_owned();
            node = match self.nodes[node].children.get(&edge) {
                Some(child) => *child,
                None => {
                    let child = self.add_node();
                    *self.nodes[node].children.entry(edge).or_insert(child)
                }
            };
        }
        node
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

/// Returns the tokens that lead to a leaf: all but the last.
fn path(tokens: &[String]) -> impl Iterator<Item = &String> {
    tokens.iter().take((DEPTH_MAX - 1).min(tokens.len().saturating_sub(1)))
}

/// Returns the edge a new cluster takes: its token, unless that varies or the node is full.
fn edge<'t>(node: &Node, token: &'t str) -> &'t str {
    if node.children.contains_key(token) {
        return token;
    }
    let has_placeholder = node.children.contains_key(PLACEHOLDER);
    // One place is kept for the placeholder.
    let free = CHILDREN_MAX - usize::from(!has_placeholder);
    let varies = token.chars().any(char::is_numeric);
    if varies || node.children.len() >= free { PLACEHOLDER } else { token }
}

/// Returns how many tokens agree, and how many placeholders there are.
fn similarity(known: &[String], tokens: &[String]) -> (usize, usize) {
    let placeholders = known.iter().filter(|token| *token == PLACEHOLDER).count();
    let same = known.iter().zip(tokens).filter(|(known, token)| known == token && *known != PLACEHOLDER).count();
    (same, placeholders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::tokens::tokenize;

    fn learn(tree: &mut Tree, line: &str) -> Learned {
        tree.learn(tokenize(line, Format::Text).expect("a line of some words"))
    }

    #[test]
    fn similar_lines_share_a_cluster() {
        let mut tree = Tree::new(1, Format::Text);
        let first = learn(&mut tree, "user alice logged in from 10.0.0.1").cluster;
        assert_eq!(learn(&mut tree, "user alice logged in from 10.0.0.2").cluster, first);
        assert_ne!(learn(&mut tree, "cache miss for key 17 again").cluster, first, "another beginning");
        assert_ne!(learn(&mut tree, "user alice logged in").cluster, first, "another length");
        let texts: Vec<String> = tree.patterns().map(|(_, text)| text).collect();
        assert!(texts.contains(&"user alice logged in from <_>".to_owned()), "{texts:?}");
    }

    #[test]
    fn full_nodes_lead_on_through_the_placeholder() {
        let mut tree = Tree::new(1, Format::Text);
        let word = |i: usize| ((b'a' + (i / 26) as u8) as char, (b'a' + (i % 26) as u8) as char);
        let clusters: Vec<u32> =
            (0..60).map(|i| learn(&mut tree, &format!("{}{} connected to the peer", word(i).0, word(i).1)).cluster).collect();
        assert!(clusters.iter().max() < Some(&20), "{clusters:?}");
        assert!(tree.nodes.iter().all(|node| node.children.len() <= CHILDREN_MAX));
        assert!(tree.patterns().any(|(_, text)| text == "<_> connected to the peer"));
    }

    #[test]
    fn clusters_are_bounded() {
        let mut tree = Tree::new(1, Format::Text);
        let forgotten = (0..2 * CLUSTERS_MAX).filter_map(|i| {
            // Words of letters only: no two lines have a beginning in common.
            let word: String = format!("{i:04}").bytes().map(|b| (b - b'0' + b'a') as char).collect();
            learn(&mut tree, &format!("{word} {word} x{word} y{word} z{word}")).forgotten
        });
        let forgotten: Vec<u32> = forgotten.collect();
        assert_eq!(tree.clusters.len() + forgotten.len(), tree.clusters_made as usize);
        assert!(tree.clusters.len() <= CLUSTERS_MAX);
    }
}
