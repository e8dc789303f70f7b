/**
 * How short of memory this process is, by the kernel's pressure stall information.
 *
 * Only the pressure on memory counts. The pressure on disks and processors is high whenever a job makes good use of
 * them.
 */

/** Reads a file; `undefined` where there is none. */
type Read = (path: string) => string | undefined

/** For how long pressure is measured before there is a new value. To read it takes some microseconds. */
const windowMillis = 1000

/** Share of a memory limit that can be used without pressure. From there to the limit, pressure goes from 0 to 1. */
const spared = 0.9

/** Measures the share of the last second for which a task stalled, or more where little is left of the limit. */
export const meter = (read: Read, nowMillis: () => number): () => number => {
  const group = groupFolder(read)
  let measured = stalledMillis(read, group)
  let since = nowMillis()
  let pressure = 0
  return () => {
    const now = nowMillis()
    if (now - since < windowMillis) return pressure
    const stalled = stalledMillis(read, group)
    pressure = Math.min(1, Math.max((stalled - measured) / (now - since), crowding(read, group)))
    measured = stalled
    since = now
    return pressure
  }
}

/** Folder of the control group of this process, if the groups are of version 2. */
const groupFolder = (read: Read): string => {
  const [, path = ""] = /^0::(.*)$/m.exec(read("/proc/self/cgroup") ?? "") ?? []
  return `/sys/fs/cgroup${path === "/" ? "" : path}`
}

/** Time for which at least one task has waited for memory: a task of the group if it counts that, else any task. */
const stalledMillis = (read: Read, group: string): number => {
  const text = read(`${group}/memory.pressure`) ?? read("/proc/pressure/memory") ?? ""
  const [, micros = "0"] = /^some .*\btotal=(\d+)/m.exec(text) ?? []
  return Number(micros) / 1000
}

/** How far the group is into the last tenth of its limit. Cached files don't count, since they can be dropped. */
const crowding = (read: Read, group: string): number => {
  // No limit is the word `max`, or no file.
  const limit = Number.parseInt(read(`${group}/memory.max`) ?? "", 10)
  const used = Number.parseInt(read(`${group}/memory.current`) ?? "", 10)
  if (!(limit > 0) || Number.isNaN(used)) return 0
  const stat = read(`${group}/memory.stat`) ?? ""
  let cached = 0
  for (const [, bytes] of stat.matchAll(/^(?:in)?active_file (\d+)$/gm)) cached += Number(bytes)
  return Math.max(0, ((used - cached) / limit - spared) / (1 - spared))
}
