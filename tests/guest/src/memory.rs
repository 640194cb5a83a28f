// SPDX-License-Identifier: GPL-2.0

//! Memory: NUMA nodes, the spare units reserved for each CPU, and operation without memory.

use crate::kit::{
    faults::{
        no_nodes,
        nodes_again, //
    },
    *, //
};
use std::fs;

crate::tests![
    each_node_has_its_map(cpus: 2, nodes: 2),
    a_node_without_memory(cpus: 2, nodes: 2, bare_nodes: 1),
    maps_are_given_up_while_memory_is_short(cpus: 2, nodes: 2),
    a_memory_cgroup_at_its_limit,
    units_put_aside,
    units_put_aside_for_a_cpu_that_goes(cpus: 2, hotplug: true),
];

/// A node, as in a line of the answer to `numa`.
#[derive(Debug, PartialEq)]
struct Service {
    node: u64,
    /// The node whose map its CPUs search.
    map: u64,
    /// The allocations for its own map, local and remote, if it has a map.
    allocated: Option<(u64, u64)>,
}

impl Service {
    /// Parses a line such as `node 1: map of node 0, allocated 3 local, 0 remote`, which may end
    /// before the first comma.
    fn parse(line: &str) -> Result<Self> {
        let words = line.replace([':', ','], "");
        let words: Vec<_> = words.split(' ').collect();
        let (node, map, allocated) = match words[..] {
            ["node", node, "map", "of", "node", map] => (node, map, None),
            ["node", node, "map", "of", "node", map, "allocated", ref counts @ ..] => {
                let [local, "local", remote, "remote"] = counts[..] else {
                    bail!("the target answers '{line}'");
                };
                (node, map, Some((local.parse()?, remote.parse()?)))
            }
            _ => bail!("the target answers '{line}'"),
        };
        Ok(Self {
            node: node.parse()?,
            map: map.parse()?,
            allocated,
        })
    }
}

fn services(r: &Remap) -> Result<Vec<Service>> {
    r.message("numa")?.lines().map(Service::parse).collect()
}

/// The node whose map is searched, for the CPUs of each node.
fn maps(r: &Remap) -> Result<Vec<u64>> {
    Ok(services(r)?.iter().map(|service| service.map).collect())
}

/// Fails unless each CPU reads these data at the start of `r`.
fn seen_from_each_cpu(r: &Remap, data: &[u8]) -> Result<()> {
    for cpu in working_cpus() {
        on_cpu(cpu, || r.holds(data))?.with_context(|| format!("from CPU {cpu}"))?;
    }
    Ok(())
}

/// Relocates the units of these sectors, and rewrites the first mebibyte.
fn move_and_write(r: &Remap, sector: u64, sectors: u64) -> Result<Vec<u8>> {
    r.relocate(sector, sectors)?;
    let data = random(MIB);
    r.write(0, &data)?;
    Ok(data)
}

fn each_node_has_its_map() -> Result<()> {
    let a = Array::new()?;
    assert_eq!(maps(&a.r)?, [0, 1]);
    let data = move_and_write(&a.r, 0, 256)?;
    seen_from_each_cpu(&a.r, &data)?;
    a.r.suspend()?;
    a.r.resume()?;
    seen_from_each_cpu(&a.r, &data)?;
    for service in services(&a.r)? {
        let is_local = matches!(service.allocated, Some((1.., 0)));
        ensure!(is_local, "{service:?}");
    }
    // Activation copies the map.
    a.r.remove()?;
    let r = Remap::create(TABLE)?;
    assert_eq!(maps(&r)?, [0, 1]);
    seen_from_each_cpu(&r, &data)?;
    let data = move_and_write(&r, 512, 64)?;
    seen_from_each_cpu(&r, &data)
}

fn a_node_without_memory() -> Result<()> {
    let a = Array::new()?;
    assert_eq!(maps(&a.r)?, [0, 0]);
    let data = move_and_write(&a.r, 0, 256)?;
    seen_from_each_cpu(&a.r, &data)
}

fn maps_are_given_up_while_memory_is_short() -> Result<()> {
    let a = Array::new()?;
    assert_eq!(a.r.status()?.memory, "ok");
    no_nodes()?;
    let data = move_and_write(&a.r, 0, 64)?;
    assert_eq!(a.r.status()?.memory, "short");
    // All CPUs search the map of the node on which the device was created.
    let shared = maps(&a.r)?;
    assert_eq!(shared[0], shared[1]);
    seen_from_each_cpu(&a.r, &data)?;
    // A suspect would use a node of the reserve.
    a.main.bad(1024..=1024)?;
    fails(a.r.read(1024, UNIT))?;
    assert_eq!(a.r.status()?.suspects, 0);
    nodes_again()?;
    until(|| Ok(a.r.status()?.memory == "ok"))?;
    until(|| Ok(maps(&a.r)? == [0, 1]))?;
    a.main.good(1024..=1024)?;
    seen_from_each_cpu(&a.r, &data)?;
    a.main.bad(1024..=1024)?;
    fails(a.r.read(1024, UNIT))?;
    assert_eq!(a.r.status()?.suspects, 1);
    Ok(())
}

/// A process at its memory limit sends a message that allocates memory.
fn a_memory_cgroup_at_its_limit() -> Result<()> {
    let a = Array::new()?;
    let data = random(MIB);
    a.r.write(0, &data)?;
    a.main.bad(512..=519)?;
    fs::create_dir("/tmp/cgroup")?;
    run("mount", &["-t", "cgroup2", "none", "/tmp/cgroup"])?;
    fs::write("/tmp/cgroup/cgroup.subtree_control", "+memory")?;
    fs::create_dir("/tmp/cgroup/small")?;
    fs::write(
        "/tmp/cgroup/small/cgroup.procs",
        std::process::id().to_string(),
    )?;
    fs::write("/tmp/cgroup/small/memory.high", "0")?;
    let relocated = a.r.relocate(0, 256);
    let written = a.r.write(512, part(&data, 512, UNIT));
    fs::write("/tmp/cgroup/cgroup.procs", std::process::id().to_string())?;
    relocated.context("at the limit")?;
    written.context("at the limit")?;
    let status = a.r.status()?;
    assert_eq!(status.used.to_string(), "33/1536");
    assert_eq!(status.memory, "ok");
    a.main.bad(0..=255)?;
    a.r.holds(&data)?;
    fs::remove_dir("/tmp/cgroup/small")?;
    run("umount", &["/tmp/cgroup"])?;
    Ok(())
}

/// Reserved units, hits, and misses.
fn cache(r: &Remap) -> Result<String> {
    Ok(r.status()?.cache.to_string())
}

fn units_put_aside() -> Result<()> {
    let a = Array::new()?;
    assert_eq!(cache(&a.r)?, "0/0/0");
    // Units that are not adjacent.
    for sector in (0..=1008).step_by(16) {
        a.r.relocate(sector, UNIT)?;
    }
    assert_eq!(cache(&a.r)?, "0/62/2");
    assert_eq!(a.r.ask("cache")?.number("refills")?, 2);
    // An adjacent unit, whose neighbour has the last unit of the reserve.
    a.r.relocate(1016, UNIT)?;
    assert_eq!(a.r.ask("cache")?.number("near")?, 1);
    a.r.relocate(2048, UNIT)?;
    assert_eq!(cache(&a.r)?, "31/62/3");
    a.r.suspend()?;
    a.r.resume()?;
    assert_eq!(cache(&a.r)?, "0/62/3");
    assert_eq!(a.r.used()?, "66/1536");
    Ok(())
}

fn put_aside(r: &Remap) -> Result<u64> {
    r.ask("cache")?.number("put_aside")
}

fn units_put_aside_for_a_cpu_that_goes() -> Result<()> {
    let a = Array::new()?;
    let relocate_on = |cpu, sector| on_cpu(cpu, || a.r.relocate(sector, UNIT))?;
    for sector in [0, 16, 32] {
        relocate_on(0, sector)?;
        relocate_on(1, sector + 8000)?;
    }
    // The spare units of each CPU are adjacent.
    let spare_units: Vec<_> =
        a.r.list()?
            .iter()
            .map(|unit| unit.spare_sector - REGION)
            .collect();
    assert_eq!(spare_units, [0, 8, 16, 256, 264, 272]);
    assert_eq!(put_aside(&a.r)?, 58);
    set_working(1, false)?;
    a.r.relocate(20000, (1536 - 6) * UNIT)?;
    assert_eq!(a.r.used()?, "1536/1536");
    assert_eq!(put_aside(&a.r)?, 0);
    assert_eq!(a.r.status()?.health, "exhausted");
    set_working(1, true)?;
    refused("no spare unit is left", || relocate_on(1, 16000))?;
    a.r.move_back(8000)?;
    relocate_on(1, 16000)?;
    assert_eq!(a.r.used()?, "1536/1536");
    Ok(())
}
