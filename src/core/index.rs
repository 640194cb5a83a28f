// SPDX-License-Identifier: GPL-2.0

//! The map: from units of main to what is known of them.
//!
//! A B+tree whose nodes never change. An update copies the path from the root to one leaf and
//! shares all else with the tree before it, so readers of an older tree are never disturbed and the
//! cost of an update does not grow with the number of entries.

use crate::blocks::Blocks;
use crate::fixed::Fixed;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use core::ops::{
    Deref,
    Range, //
};

/// What stands in the map for one unit. A unit without an entry lies on main and is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who may use it.
    pub gate: Gate,
    /// Where its data are.
    pub state: State,
}

/// Who may use a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Everybody.
    Open,
    /// The unit is being moved: whoever wants it waits.
    Busy,
    /// Readers only. It is not known whether the last commit about the unit is on disk, so a write
    /// might go where it will not be looked for.
    Stuck,
    /// Nobody. It is not known which of two contents is on record: that before or after the last
    /// write, which failed. A reader of the one would see it replaced by the other at the next
    /// load.
    Unknown,
}

/// Where a unit's data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// On main.
    Main,
    /// On main, which failed to give them back.
    Suspect,
    /// On the spare.
    Relocated {
        /// The unit of the spare.
        spare: SpareUnit,
        /// The blocks that hold data; the others were lost.
        valid: Blocks,
    },
}

impl State {
    /// The spare unit that the data are in, if they are on the spare.
    pub const fn spare(self) -> Option<SpareUnit> {
        match self {
            Self::Relocated { spare, .. } => Some(spare),
            Self::Main | Self::Suspect => None,
        }
    }
}

/// No memory for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Memory that nodes are kept in.
pub trait NodeMemory: Sized {
    /// A shared reference to a node, which drops the node with its last clone.
    type Ref: Deref<Target = Node<Self>> + Clone;
}

/// Where nodes come from.
pub trait NodeAlloc {
    /// The memory that it gives nodes.
    type Memory: NodeMemory;

    /// Moves `node` into memory of its own.
    fn alloc(
        &mut self,
        node: Node<Self::Memory>,
    ) -> Result<<Self::Memory as NodeMemory>::Ref, OutOfMemory>;

    /// Takes note that a map is about to have an entry for `unit`: once for each [`Index::with`]
    /// and [`Run::push`].
    fn note(&mut self, _unit: Unit) -> Result<(), OutOfMemory> {
        Ok(())
    }
}

/// How many entries a leaf holds, and how many children an inner node: a node then fits 512 bytes.
const ENTRIES: usize = 19;
const CHILDREN: usize = 29;

/// How many places are left free in nodes that are filled in order, so that few of the updates that
/// follow must split them.
const ROOM: usize = 2;

/// The most nodes one update takes from its [`NodeAlloc`], for any tree that fits memory.
///
/// Neighbouring nodes are merged when they fit one, so nodes are more than half full on average and
/// 2^43 entries make a tree of at most 12 levels; an update takes two nodes a level, and a root.
pub const NODES_PER_UPDATE: usize = 26;

/// One node of the tree.
pub struct Node<M: NodeMemory>(Kind<M>);

// A leaf's size depends on nothing, an inner node's on the reference to a node; for all references
// that there are, both sizes are alike.
#[allow(clippy::large_enum_variant)]
enum Kind<M: NodeMemory> {
    Leaf(Leaf),
    Inner(Inner<M>),
}

/// How many of these ascending numbers come before all others by `is_before`. Takes no branch that
/// depends on them.
#[inline]
fn count<const N: usize>(keys: &[u64; N], is_before: impl Fn(u64) -> bool) -> usize {
    let is_before = |at: usize| usize::from(keys.get(at).is_some_and(|&key| is_before(key)));
    let (mut count, mut left) = (0, N);
    while left > 1 {
        let half = left / 2;
        count += half * is_before(count + half - 1);
        left -= half;
    }
    count + is_before(count)
}

/// Copies some places of an array to the beginning of another.
fn fill<T: Copy, const N: usize>(
    to: &mut [T; N],
    from: &[T; N],
    places: &Range<usize>,
) -> Result<(), OutOfMemory> {
    let from = from.get(places.clone()).ok_or(OutOfMemory)?;
    let to = to.get_mut(..from.len()).ok_or(OutOfMemory)?;
    to.copy_from_slice(from);
    Ok(())
}

/// Where the data of a unit with an entry are.
#[derive(Clone, Copy)]
enum Where {
    Main,
    Suspect,
    Relocated,
}

/// Entries in the order of their units.
///
/// What is searched lies together: a search reads few lines of the cache.
///
/// # Invariants
///
/// The first `len` places of each array are those of entries; the units behind them are
/// [`u64::MAX`].
#[derive(Clone)]
struct Leaf {
    units: [u64; ENTRIES],
    spares: [u64; ENTRIES],
    valid: [u64; ENTRIES],
    gates: [Gate; ENTRIES],
    places: [Where; ENTRIES],
    len: u8,
}

impl Leaf {
    const EMPTY: Self = Self {
        units: [u64::MAX; ENTRIES],
        spares: [0; ENTRIES],
        valid: [0; ENTRIES],
        gates: [Gate::Open; ENTRIES],
        places: [Where::Main; ENTRIES],
        len: 0,
    };

    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn push(&mut self, (unit, entry): (Unit, Entry)) -> Result<(), OutOfMemory> {
        self.put(self.len(), unit, entry)?;
        // INVARIANT: The place behind the last one was just filled.
        self.len += 1;
        Ok(())
    }

    /// Puts an entry before the one at `at`.
    fn insert(&mut self, at: usize, unit: Unit, entry: Entry) -> Result<(), OutOfMemory> {
        let len = self.len();
        if at > len || len == ENTRIES {
            return Err(OutOfMemory);
        }
        // INVARIANT: The place behind the last one is taken by it.
        self.units.copy_within(at..len, at + 1);
        self.spares.copy_within(at..len, at + 1);
        self.valid.copy_within(at..len, at + 1);
        self.gates.copy_within(at..len, at + 1);
        self.places.copy_within(at..len, at + 1);
        self.len += 1;
        self.put(at, unit, entry)
    }

    /// Puts an entry in the place of the one at `at`.
    fn put(&mut self, at: usize, unit: Unit, entry: Entry) -> Result<(), OutOfMemory> {
        let (place, spare, valid) = match entry.state {
            State::Main => (Where::Main, 0, 0),
            State::Suspect => (Where::Suspect, 0, 0),
            State::Relocated { spare, valid } => (Where::Relocated, spare.0, valid.bits()),
        };
        *self.places.get_mut(at).ok_or(OutOfMemory)? = place;
        *self.gates.get_mut(at).ok_or(OutOfMemory)? = entry.gate;
        *self.spares.get_mut(at).ok_or(OutOfMemory)? = spare;
        *self.valid.get_mut(at).ok_or(OutOfMemory)? = valid;
        *self.units.get_mut(at).ok_or(OutOfMemory)? = unit.0;
        Ok(())
    }

    /// Some of the entries.
    fn part(&self, places: Range<usize>) -> Result<Self, OutOfMemory> {
        if places.end > self.len() {
            return Err(OutOfMemory);
        }
        let mut part = Self::EMPTY;
        fill(&mut part.units, &self.units, &places)?;
        fill(&mut part.spares, &self.spares, &places)?;
        fill(&mut part.valid, &self.valid, &places)?;
        fill(&mut part.gates, &self.gates, &places)?;
        fill(&mut part.places, &self.places, &places)?;
        // INVARIANT: So many places were filled, all from those of entries.
        part.len = u8::try_from(places.len()).map_err(|_| OutOfMemory)?;
        Ok(part)
    }

    #[inline]
    fn entry(&self, at: usize) -> Option<(Unit, Entry)> {
        if at >= self.len() {
            return None;
        }
        let entry = Entry {
            gate: *self.gates.get(at)?,
            state: match self.places.get(at)? {
                Where::Main => State::Main,
                Where::Suspect => State::Suspect,
                Where::Relocated => State::Relocated {
                    spare: SpareUnit(*self.spares.get(at)?),
                    valid: Blocks::from_bits(*self.valid.get(at)?),
                },
            },
        };
        Some((Unit(*self.units.get(at)?), entry))
    }

    /// How many entries are of units before `unit`.
    #[inline]
    fn position(&self, unit: Unit) -> usize {
        count(&self.units, |own| own < unit.0)
    }

    fn last(&self) -> Option<Unit> {
        let at = self.len().checked_sub(1)?;
        self.units.get(at).copied().map(Unit)
    }

    fn iter(&self) -> impl Iterator<Item = (Unit, Entry)> + '_ {
        (0..self.len()).filter_map(|at| self.entry(at))
    }
}

/// Subtrees in the order of their units, each with the lowest.
///
/// # Invariants
///
/// There are as many of `firsts` as of `nodes`; those behind them are [`u64::MAX`].
struct Inner<M: NodeMemory> {
    firsts: [u64; CHILDREN],
    nodes: Fixed<M::Ref, CHILDREN>,
}

impl<M: NodeMemory> Inner<M> {
    const fn new() -> Self {
        Self {
            firsts: [u64::MAX; CHILDREN],
            nodes: Fixed::new(),
        }
    }

    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn push(&mut self, child: Child<M>) -> Result<(), OutOfMemory> {
        let at = self.len();
        *self.firsts.get_mut(at).ok_or(OutOfMemory)? = child.first.0;
        self.nodes.push(child.node).map_err(|_| OutOfMemory)
    }

    /// These children with another in the place of the one at `at`.
    fn with(&self, at: usize, child: Child<M>) -> Result<Self, OutOfMemory> {
        let (mut firsts, mut nodes) = (self.firsts, self.nodes.clone());
        *firsts.get_mut(at).ok_or(OutOfMemory)? = child.first.0;
        nodes.replace(at, child.node).map_err(|_| OutOfMemory)?;
        Ok(Self { firsts, nodes })
    }

    /// Some of the children.
    fn part(&self, places: Range<usize>) -> Result<Self, OutOfMemory> {
        let mut part = Self::new();
        fill(&mut part.firsts, &self.firsts, &places)?;
        for node in self.nodes.iter().take(places.end).skip(places.start) {
            part.nodes.push(node.clone()).map_err(|_| OutOfMemory)?;
        }
        Ok(part)
    }

    /// Puts two children in the place of the one at `at`.
    fn grow(&mut self, at: usize, left: Child<M>, right: Child<M>) -> Result<(), OutOfMemory> {
        let len = self.len();
        if at >= len || len == CHILDREN {
            return Err(OutOfMemory);
        }
        // INVARIANT: One more of both.
        self.firsts.copy_within(at..len, at + 1);
        *self.firsts.get_mut(at).ok_or(OutOfMemory)? = left.first.0;
        *self.firsts.get_mut(at + 1).ok_or(OutOfMemory)? = right.first.0;
        self.nodes.replace(at, left.node).map_err(|_| OutOfMemory)?;
        let inserted = self.nodes.insert(at + 1, right.node);
        inserted.map_err(|_| OutOfMemory)
    }

    fn child(&self, at: usize) -> Option<Child<M>> {
        Some(Child {
            first: Unit(*self.firsts.get(at)?),
            node: self.nodes.get(at)?.clone(),
        })
    }

    fn children(&self) -> impl Iterator<Item = Child<M>> + '_ {
        (0..self.len()).filter_map(|at| self.child(at))
    }

    /// The child that holds `unit` if any does: the last that begins at or before it, or the first.
    #[inline]
    fn position(&self, unit: Unit) -> usize {
        let [_, others @ ..] = &self.firsts;
        count(others, |first| first <= unit.0)
    }

    /// Where the child behind the one at `at` begins; [`u64::MAX`] if there is none.
    #[inline]
    fn next_first(&self, at: usize) -> u64 {
        self.firsts.get(at + 1).copied().unwrap_or(u64::MAX)
    }
}

/// A subtree and the lowest unit in it.
struct Child<M: NodeMemory> {
    first: Unit,
    node: M::Ref,
}

impl<M: NodeMemory> Clone for Child<M> {
    fn clone(&self) -> Self {
        Self {
            first: self.first,
            node: self.node.clone(),
        }
    }
}

impl<M: NodeMemory> Child<M> {
    fn of(node: M::Ref) -> Self {
        let first = match &node.0 {
            Kind::Leaf(leaf) => leaf.units.first(),
            Kind::Inner(inner) => inner.firsts.first(),
        };
        Self {
            first: Unit(first.copied().unwrap_or(0)),
            node,
        }
    }
}

/// A few entries in ascending order, on their way into a map.
pub struct Run(Leaf);

impl Default for Run {
    fn default() -> Self {
        Self(Leaf::EMPTY)
    }
}

impl Run {
    /// Whether it has as many entries as are to lie in one node.
    pub fn is_full(&self) -> bool {
        self.0.len() >= ENTRIES - ROOM
    }

    /// The unit of the last entry.
    pub fn last(&self) -> Option<Unit> {
        self.0.last()
    }

    /// Adds an entry behind the others, for a map in memory from `alloc`; an error where the run is
    /// full, or where that is not the entry's place.
    pub fn push(
        &mut self,
        alloc: &mut impl NodeAlloc,
        unit: Unit,
        entry: Entry,
    ) -> Result<(), OutOfMemory> {
        if self.last() >= Some(unit) {
            return Err(OutOfMemory);
        }
        alloc.note(unit)?;
        self.0.push((unit, entry))
    }
}

/// What became of a subtree that grew by at most one entry.
enum Grown<M: NodeMemory> {
    One(Child<M>),
    Two(Child<M>, Child<M>),
}

/// An immutable map from units to entries, ordered by unit.
pub struct Index<M: NodeMemory> {
    root: Option<M::Ref>,
}

impl<M: NodeMemory> Clone for Index<M> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<M: NodeMemory> Default for Index<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: NodeMemory> Index<M> {
    /// The map without entries.
    pub const fn new() -> Self {
        Self { root: None }
    }

    /// Whether it has no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The entry of `unit`.
    pub fn get(&self, unit: Unit) -> Option<Entry> {
        self.next(unit).filter(|hit| hit.0 == unit).map(|hit| hit.1)
    }

    /// The first entry at or after `unit`.
    #[inline]
    pub fn next(&self, unit: Unit) -> Option<(Unit, Entry)> {
        let (leaf, at) = self.find(unit)?;
        leaf.entry(at)
    }

    /// The leaf with the first entry at or after `unit`, and its place there.
    #[inline]
    fn find(&self, unit: Unit) -> Option<(&Leaf, usize)> {
        let (leaf, at, next) = self.descend(unit)?;
        if at < leaf.len() {
            return Some((leaf, at));
        }
        let (leaf, at, _) = self.descend(Unit(next))?;
        (at < leaf.len()).then_some((leaf, at))
    }

    /// The leaf in which `unit` is if it has an entry, where that is or would be, and where the
    /// leaf behind that begins.
    #[inline]
    fn descend(&self, unit: Unit) -> Option<(&Leaf, usize, u64)> {
        let mut node: &Node<M> = self.root.as_ref()?;
        let mut next = u64::MAX;
        loop {
            match &node.0 {
                Kind::Inner(inner) => {
                    let at = inner.position(unit);
                    next = next.min(inner.next_first(at));
                    node = inner.nodes.get(at)?;
                }
                Kind::Leaf(leaf) => return Some((leaf, leaf.position(unit), next)),
            }
        }
    }

    /// All entries from `unit` on.
    pub fn iter_from(&self, unit: Unit) -> impl Iterator<Item = (Unit, Entry)> + '_ {
        let mut place = self.find(unit);
        core::iter::from_fn(move || {
            let (leaf, at) = place?;
            let entry = leaf.entry(at)?;
            place = if at + 1 < leaf.len() {
                Some((leaf, at + 1))
            } else {
                let next = entry.0 .0.checked_add(1);
                next.and_then(|next| self.find(Unit(next)))
            };
            Some(entry)
        })
    }

    /// This map with `entry` for `unit`, in place of any that it had.
    pub fn with(
        &self,
        alloc: &mut impl NodeAlloc<Memory = M>,
        unit: Unit,
        entry: Entry,
    ) -> Result<Self, OutOfMemory> {
        alloc.note(unit)?;
        let grown = match &self.root {
            None => Grown::One(leaf(alloc, [(unit, entry)])?),
            Some(root) => insert(alloc, root, unit, entry)?,
        };
        Self::rooted(alloc, grown)
    }

    /// This map with the entries of `run`, which is empty then; an error where they do not lie
    /// behind all others.
    pub fn append(
        &self,
        alloc: &mut impl NodeAlloc<Memory = M>,
        run: &mut Run,
    ) -> Result<Self, OutOfMemory> {
        let run = core::mem::take(run).0;
        if run.len() == 0 {
            return Ok(self.clone());
        }
        if self.last() >= run.units.first().copied().map(Unit) {
            return Err(OutOfMemory);
        }
        let right = kept(alloc, Kind::Leaf(run))?;
        let grown = match &self.root {
            None => Grown::One(right),
            Some(root) => append(alloc, Child::of(root.clone()), right)?,
        };
        Self::rooted(alloc, grown)
    }

    /// The same entries in memory from `alloc`, of which `ready` makes sure before each; an error
    /// where there is none.
    pub fn copied<A: NodeAlloc<Memory = M>>(
        &self,
        alloc: &mut A,
        mut ready: impl FnMut(&mut A) -> Result<(), OutOfMemory>,
    ) -> Result<Self, OutOfMemory> {
        let (mut copy, mut run) = (Self::new(), Run::default());
        for (unit, entry) in self.iter_from(Unit(0)) {
            ready(alloc)?;
            if run.is_full() {
                copy = copy.append(alloc, &mut run)?;
            }
            run.push(alloc, unit, entry)?;
        }
        ready(alloc)?;
        copy.append(alloc, &mut run)
    }

    fn rooted(
        alloc: &mut impl NodeAlloc<Memory = M>,
        grown: Grown<M>,
    ) -> Result<Self, OutOfMemory> {
        let root = match grown {
            Grown::One(child) => child.node,
            Grown::Two(left, right) => inner(alloc, [left, right])?.node,
        };
        Ok(Self { root: Some(root) })
    }

    /// The last unit that has an entry.
    pub fn last(&self) -> Option<Unit> {
        let mut node: &Node<M> = self.root.as_ref()?;
        loop {
            match &node.0 {
                Kind::Inner(inner) => node = inner.nodes.get(inner.len().checked_sub(1)?)?,
                Kind::Leaf(leaf) => return leaf.last(),
            }
        }
    }

    /// This map without the entry of `unit`.
    pub fn without(
        &self,
        alloc: &mut impl NodeAlloc<Memory = M>,
        unit: Unit,
    ) -> Result<Self, OutOfMemory> {
        if self.get(unit).is_none() {
            return Ok(self.clone());
        }
        let Some(root) = &self.root else {
            return Ok(Self::new());
        };
        let left = remove(alloc, root, unit)?;
        Ok(Self {
            root: left.map(|child| only_child::<M>(child.node)),
        })
    }

    /// The most nodes that the next updates take each, as long as there are few of them.
    pub fn nodes_per_update(&self) -> usize {
        let mut levels = 2;
        let mut node = self.root.as_ref();
        while let Some(Kind::Inner(inner)) = node.map(|node| &node.0) {
            levels += 1;
            node = inner.nodes.get(0);
        }
        NODES_PER_UPDATE.min(2 * levels)
    }

    /// This map with `entry` for `unit`, or with none.
    pub fn set(
        &self,
        alloc: &mut impl NodeAlloc<Memory = M>,
        unit: Unit,
        entry: Option<Entry>,
    ) -> Result<Self, OutOfMemory> {
        match entry {
            Some(entry) => self.with(alloc, unit, entry),
            None => self.without(alloc, unit),
        }
    }
}

/// Leaves out inner nodes at the root that have but one child.
fn only_child<M: NodeMemory>(mut root: M::Ref) -> M::Ref {
    loop {
        let next = match &root.0 {
            Kind::Inner(inner) if inner.len() == 1 => inner.nodes.get(0).cloned(),
            _ => None,
        };
        match next {
            Some(node) => root = node,
            None => return root,
        }
    }
}

fn leaf<A: NodeAlloc>(
    alloc: &mut A,
    entries: impl IntoIterator<Item = (Unit, Entry)>,
) -> Result<Child<A::Memory>, OutOfMemory> {
    let mut leaf = Leaf::EMPTY;
    for entry in entries {
        leaf.push(entry)?;
    }
    kept(alloc, Kind::Leaf(leaf))
}

fn kept<A: NodeAlloc>(
    alloc: &mut A,
    kind: Kind<A::Memory>,
) -> Result<Child<A::Memory>, OutOfMemory> {
    Ok(Child::of(alloc.alloc(Node(kind))?))
}

fn inner<A: NodeAlloc>(
    alloc: &mut A,
    children: impl IntoIterator<Item = Child<A::Memory>>,
) -> Result<Child<A::Memory>, OutOfMemory> {
    let mut inner = Inner::new();
    for child in children {
        inner.push(child)?;
    }
    kept(alloc, Kind::Inner(inner))
}

fn insert<A: NodeAlloc>(
    alloc: &mut A,
    node: &Node<A::Memory>,
    unit: Unit,
    entry: Entry,
) -> Result<Grown<A::Memory>, OutOfMemory> {
    match &node.0 {
        Kind::Leaf(leaf) => insert_into_leaf(alloc, leaf, unit, entry),
        Kind::Inner(inner) => {
            let at = inner.position(unit);
            let child = inner.nodes.get(at).ok_or(OutOfMemory)?;
            let grown = insert(alloc, child, unit, entry)?;
            insert_into_inner(alloc, inner, at, grown)
        }
    }
}

fn insert_into_leaf<A: NodeAlloc>(
    alloc: &mut A,
    old: &Leaf,
    unit: Unit,
    entry: Entry,
) -> Result<Grown<A::Memory>, OutOfMemory> {
    let at = old.position(unit);
    if old.entry(at).is_some_and(|own| own.0 == unit) {
        let mut new = old.clone();
        new.put(at, unit, entry)?;
        return Ok(Grown::One(kept(alloc, Kind::Leaf(new))?));
    }
    if old.len() < ENTRIES {
        let mut new = old.clone();
        new.insert(at, unit, entry)?;
        return Ok(Grown::One(kept(alloc, Kind::Leaf(new))?));
    }
    let half = split_at(ENTRIES, at == ENTRIES);
    let (mut left, mut right) = (old.part(0..half)?, old.part(half..ENTRIES)?);
    match at.checked_sub(half) {
        Some(at) => right.insert(at, unit, entry)?,
        None => left.insert(at, unit, entry)?,
    }
    Ok(Grown::Two(
        kept(alloc, Kind::Leaf(left))?,
        kept(alloc, Kind::Leaf(right))?,
    ))
}

fn insert_into_inner<A: NodeAlloc>(
    alloc: &mut A,
    old: &Inner<A::Memory>,
    at: usize,
    grown: Grown<A::Memory>,
) -> Result<Grown<A::Memory>, OutOfMemory> {
    let (middle, second) = match grown {
        Grown::One(child) => return kept(alloc, Kind::Inner(old.with(at, child)?)).map(Grown::One),
        Grown::Two(left, right) => (left, right),
    };
    if old.len() < CHILDREN {
        let mut new = old.part(0..old.len())?;
        new.grow(at, middle, second)?;
        return kept(alloc, Kind::Inner(new)).map(Grown::One);
    }
    let half = split_at(CHILDREN, at + 1 == CHILDREN);
    let (mut left, mut right) = (old.part(0..half)?, old.part(half..CHILDREN)?);
    match at.checked_sub(half) {
        Some(at) => right.grow(at, middle, second)?,
        None => left.grow(at, middle, second)?,
    }
    Ok(Grown::Two(
        kept(alloc, Kind::Inner(left))?,
        kept(alloc, Kind::Inner(right))?,
    ))
}

/// Adds a leaf behind all that `left` holds.
fn append<A: NodeAlloc>(
    alloc: &mut A,
    left: Child<A::Memory>,
    right: Child<A::Memory>,
) -> Result<Grown<A::Memory>, OutOfMemory> {
    match &left.node.0 {
        Kind::Leaf(_) => Ok(Grown::Two(left, right)),
        Kind::Inner(old) => {
            let at = old.len().checked_sub(1).ok_or(OutOfMemory)?;
            let child = old.child(at).ok_or(OutOfMemory)?;
            let grown = append(alloc, child, right)?;
            insert_into_inner(alloc, old, at, grown)
        }
    }
}

/// Where a node is cut that has no room for one more.
///
/// Units that come in ascending order, as a scan or a copy finds them, leave nodes behind that are
/// full but for a little room.
fn split_at(len: usize, ascending: bool) -> usize {
    if ascending {
        len - ROOM
    } else {
        len / 2
    }
}

/// The subtree without `unit`; `None` where nothing is left of it.
fn remove<A: NodeAlloc>(
    alloc: &mut A,
    node: &Node<A::Memory>,
    unit: Unit,
) -> Result<Option<Child<A::Memory>>, OutOfMemory> {
    match &node.0 {
        Kind::Leaf(old) => {
            let rest = || old.iter().filter(|e| e.0 != unit);
            if rest().next().is_none() {
                return Ok(None);
            }
            leaf(alloc, rest()).map(Some)
        }
        Kind::Inner(old) => {
            let at = old.position(unit);
            let child = old.nodes.get(at).ok_or(OutOfMemory)?;
            let smaller = remove(alloc, child, unit)?;
            shrink(alloc, old, at, smaller)
        }
    }
}

/// Puts `smaller` in the place of the child at `at`, merged with a neighbour where both fit one.
fn shrink<A: NodeAlloc>(
    alloc: &mut A,
    old: &Inner<A::Memory>,
    at: usize,
    smaller: Option<Child<A::Memory>>,
) -> Result<Option<Child<A::Memory>>, OutOfMemory> {
    let (mut from, mut to, mut middle) = (at, at + 1, smaller);
    if let Some(child) = &middle {
        let before = at.checked_sub(1).and_then(|left| old.child(left));
        let after = old.child(at + 1);
        if let Some(merged) = merge(alloc, Some(child), after.as_ref())? {
            (to, middle) = (at + 2, Some(merged));
        } else if let Some(merged) = merge(alloc, before.as_ref(), Some(child))? {
            (from, middle) = (at - 1, Some(merged));
        }
    }
    let all = || {
        let before = old.children().take(from);
        before.chain(middle.clone()).chain(old.children().skip(to))
    };
    if all().next().is_none() {
        return Ok(None);
    }
    inner(alloc, all()).map(Some)
}

/// One node with all that two neighbours hold, if there are two and it fits.
fn merge<A: NodeAlloc>(
    alloc: &mut A,
    left: Option<&Child<A::Memory>>,
    right: Option<&Child<A::Memory>>,
) -> Result<Option<Child<A::Memory>>, OutOfMemory> {
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(None);
    };
    match (&left.node.0, &right.node.0) {
        (Kind::Leaf(a), Kind::Leaf(b)) if a.len() + b.len() <= ENTRIES => {
            leaf(alloc, a.iter().chain(b.iter())).map(Some)
        }
        (Kind::Inner(a), Kind::Inner(b)) if a.len() + b.len() <= CHILDREN => {
            inner(alloc, a.children().chain(b.children())).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// Nodes on the host's heap, at most `left` more of them, and `notes` units of which it can
    /// take note.
    pub(crate) struct Host {
        pub(crate) left: usize,
        pub(crate) notes: usize,
    }

    impl Host {
        /// Without a bound.
        pub(crate) const PLENTY: Self = Self {
            left: usize::MAX,
            notes: usize::MAX,
        };

        /// As much as is put aside for one update.
        pub(crate) fn for_an_update() -> Self {
            Self {
                left: NODES_PER_UPDATE,
                notes: 1,
            }
        }
    }

    impl NodeMemory for Host {
        type Ref = Arc<Node<Host>>;
    }

    impl NodeAlloc for Host {
        type Memory = Self;

        fn alloc(&mut self, node: Node<Self>) -> Result<Arc<Node<Host>>, OutOfMemory> {
            self.left = self.left.checked_sub(1).ok_or(OutOfMemory)?;
            Ok(Arc::new(node))
        }

        fn note(&mut self, _: Unit) -> Result<(), OutOfMemory> {
            self.notes = self.notes.checked_sub(1).ok_or(OutOfMemory)?;
            Ok(())
        }
    }

    fn entry(tag: u64) -> Entry {
        Entry {
            gate: [Gate::Open, Gate::Busy, Gate::Stuck, Gate::Unknown][(tag / 3 % 4) as usize],
            state: match tag % 3 {
                0 => State::Main,
                1 => State::Suspect,
                _ => State::Relocated {
                    spare: SpareUnit(tag),
                    valid: Blocks::range(0..8),
                },
            },
        }
    }

    fn agree(index: &Index<Host>, model: &BTreeMap<u64, Entry>) {
        let listed: Vec<_> = index.iter_from(Unit(0)).map(|(u, e)| (u.0, e)).collect();
        let wanted: Vec<_> = model.iter().map(|(&u, &e)| (u, e)).collect();
        assert_eq!(listed, wanted);
    }

    fn height(index: &Index<Host>) -> usize {
        let mut levels = 0;
        let mut node = index.root.clone();
        while let Some(here) = node {
            levels += 1;
            node = match &here.0 {
                Kind::Inner(inner) => inner.nodes.get(0).cloned(),
                Kind::Leaf(_) => None,
            };
        }
        levels
    }

    proptest! {
        #[test]
        fn a_copy_has_the_same_entries_and_nodes_of_its_own(
            units in prop::collection::btree_set(0u64..5000, 0..600),
            short in any::<prop::sample::Index>(),
        ) {
            let mut heap = Host::PLENTY;
            let mut index = Index::new();
            let mut model = BTreeMap::new();
            for unit in units {
                index = index.with(&mut heap, Unit(unit), entry(unit)).unwrap();
                model.insert(unit, entry(unit));
            }
            let mut other = Host::PLENTY;
            let copy = index.copied(&mut other, |_| Ok(())).unwrap();
            let taken = usize::MAX - other.left;
            agree(&copy, &model);
            drop(index);
            agree(&copy, &model);
            // Where there is no memory, and says so or not.
            let updates = model.len().div_ceil(ENTRIES).max(1);
            let mut left = short.index(updates);
            let ready = |_: &mut Host| left.checked_sub(1).map(|less| left = less).ok_or(OutOfMemory);
            prop_assert!(copy.copied(&mut other, ready).is_err());
            if taken > 0 {
                let mut few = Host { left: short.index(taken), ..Host::PLENTY };
                prop_assert!(copy.copied(&mut few, |_| Ok(())).is_err());
            }
        }
    }

    #[test]
    fn a_leaf_fits_its_slab() {
        assert!(
            size_of::<Node<Host>>() <= 504,
            "{}",
            size_of::<Node<Host>>()
        );
    }

    #[test]
    fn an_update_stays_within_its_bound() {
        let mut index = Index::new();
        let mut unit = 1u64;
        for _ in 0..20_000 {
            unit = unit
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let heap = &mut Host::for_an_update();
            index = index.with(heap, Unit(unit), entry(1)).unwrap();
        }
        assert!(height(&index) <= 6, "{}", height(&index));
        for unit in index.iter_from(Unit(0)).map(|e| e.0).collect::<Vec<_>>() {
            index = index.without(&mut Host::for_an_update(), unit).unwrap();
        }
        assert!(index.root.is_none());
    }

    #[test]
    fn ascending_units_leave_nodes_with_a_little_room() {
        let mut heap = Host::PLENTY;
        let mut index = Index::new();
        let (leaf, inner) = (ENTRIES - ROOM, CHILDREN - ROOM);
        for unit in 0..(leaf * inner * inner) as u64 {
            index = index.with(&mut heap, Unit(2 * unit), entry(unit)).unwrap();
        }
        assert_eq!(height(&index), 3);
        for unit in 0..ROOM as u64 {
            heap.left = height(&index);
            index = index
                .with(&mut heap, Unit(2 * unit + 1), entry(unit))
                .unwrap();
        }
    }

    proptest! {
        #[test]
        fn is_an_ordered_map(
            filled in 0u64..2000,
            steps in prop::collection::vec((any::<bool>(), 0u64..300, any::<u64>()), 0..600),
        ) {
            let mut heap = Host::PLENTY;
            let mut index = Index::new();
            let mut model = BTreeMap::new();
            for unit in (0..filled).rev() {
                index = index.with(&mut heap, Unit(unit), entry(unit)).unwrap();
                model.insert(unit, entry(unit));
            }
            for (add, unit, tag) in steps {
                if add {
                    index = index.with(&mut heap, Unit(unit), entry(tag)).unwrap();
                    model.insert(unit, entry(tag));
                } else {
                    index = index.without(&mut heap, Unit(unit)).unwrap();
                    model.remove(&unit);
                }
                let probe = tag % 310;
                prop_assert_eq!(index.get(Unit(probe)), model.get(&probe).copied());
                let next = model.range(probe..).next().map(|(&u, &e)| (Unit(u), e));
                prop_assert_eq!(index.next(Unit(probe)), next);
            }
            agree(&index, &model);
        }

        #[test]
        fn an_older_map_never_changes(units in prop::collection::vec(0u64..200, 1..200)) {
            let mut heap = Host::PLENTY;
            let mut model = BTreeMap::new();
            let mut index = Index::new();
            let mut kept = Vec::new();
            for &unit in &units {
                kept.push((index.clone(), model.clone()));
                if model.remove(&unit).is_some() {
                    index = index.without(&mut heap, Unit(unit)).unwrap();
                } else {
                    model.insert(unit, entry(unit));
                    index = index.with(&mut heap, Unit(unit), entry(unit)).unwrap();
                }
            }
            for (index, model) in &kept {
                agree(index, model);
            }
        }

        #[test]
        fn runs_are_appended(units in prop::collection::btree_set(0u64..5000, 0..1500)) {
            let (mut index, mut run) = (Index::new(), Run::default());
            for &unit in &units {
                let heap = &mut Host::for_an_update();
                if run.is_full() {
                    index = index.append(heap, &mut run).unwrap();
                }
                run.push(heap, Unit(unit), entry(unit)).unwrap();
            }
            index = index.append(&mut Host::for_an_update(), &mut run).unwrap();
            let model: BTreeMap<_, _> = units.iter().map(|&unit| (unit, entry(unit))).collect();
            agree(&index, &model);
            for probe in 0..5000 {
                prop_assert_eq!(index.get(Unit(probe)), model.get(&probe).copied());
            }
            if let Some(&last) = units.last() {
                run.push(&mut Host::for_an_update(), Unit(last), entry(last)).unwrap();
                prop_assert!(index.append(&mut Host::for_an_update(), &mut run).is_err());
            }
        }

        #[test]
        fn no_memory_changes_nothing(units in prop::collection::vec(0u64..2000, 0..400), unit in 0u64..2000, left in 0usize..8) {
            let mut heap = Host::PLENTY;
            let mut model = BTreeMap::new();
            let mut index = Index::new();
            for &unit in &units {
                model.insert(unit, entry(unit));
                index = index.with(&mut heap, Unit(unit), entry(unit)).unwrap();
            }
            heap.left = left;
            match index.with(&mut heap, Unit(unit), entry(5)) {
                Err(OutOfMemory) => agree(&index, &model),
                Ok(new) => {
                    agree(&index, &model);
                    model.insert(unit, entry(5));
                    agree(&new, &model);
                }
            }
        }
    }
}
