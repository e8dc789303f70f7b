/**
 * How short of memory this process is, as Linux tells it.
 *
 * Of the kernel's pressure stall information only that of memory counts. That of the disk and of the processors is
 * high whenever they are put to use, which is what a job is for.
 */

/** Reads a file; `undefined` where there is none. */
type Read = (path: string) => string | undefined

/** For how long pressure is measured before it is told anew. Reading takes the kernel some microseconds. */
const windowMillis = 1000

/** What is used of a limit beyond this share tells of pressure, all of it of the most. */
const spared = 0.9

/** Share of the last second for which something stalled, or more where little is left of the memory limit. */
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

/** The control group of this process, where it is of version 2. */
const groupFolder = (read: Read): string => {
  const [, path = ""] = /^0::(.*)$/m.exec(read("/proc/self/cgroup") ?? "") ?? []
  return `/sys/fs/cgroup${path === "/" ? "" : path}`
}

/** Time for which at least one task has waited for memory: of the group if it counts that, else of the machine. */
const stalledMillis = (read: Read, group: string): number => {
  const text = read(`${group}/memory.pressure`) ?? read("/proc/pressure/memory") ?? ""
  const [, micros = "0"] = /^some .*\btotal=(\d+)/m.exec(text) ?? []
  return Number(micros) / 1000
}

/** How far the group is into the last tenth of its limit. What it keeps of files can be dropped, and doesn't count. */
const crowding = (read: Read, group: string): number => {
  // `max`, or no file, is no limit.
  const limit = Number.parseInt(read(`${group}/memory.max`) ?? "", 10)
  const used = Number.parseInt(read(`${group}/memory.current`) ?? "", 10)
  if (!(limit > 0) || Number.isNaN(used)) return 0
  const files = Array.from(
    (read(`${group}/memory.stat`) ?? "").matchAll(/^(?:in)?active_file (\d+)$/gm),
    ([, bytes]) => Number(bytes)
  )
  const kept = files.reduce((sum, bytes) => sum + bytes, 0)
  return Math.max(0, ((used - kept) / limit - spared) / (1 - spared))
}
