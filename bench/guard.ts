// Whether this version is as fast as another commit: `npm run bench -- guard [COMMIT] [ROW …]`. The commit is built
// once, in a folder of its own under `TMPDIR`. Its commands, those of this version and those of peers run by turns, so
// that whatever slows the machine down slows all of them. Needs `npm run build` and `/usr/bin/time`. Tasks by workers
// need Postgres, not running. System calls are counted where there is `strace`.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import sharp from "sharp"
import { buildOf } from "../tools/oldVersion.mjs"
import { type Place, withPlace } from "./internal/newFileSystem.ts"
import { duplicate, makeTree, noise, sync } from "./internal/trees.ts"
import { isInstalled, median, removeDatabase } from "./measure.ts"

const project = path.join(import.meta.dirname, "..")
const commitOf = (text: string): string | undefined => /^[0-9a-f]{7,40}$/.test(text) ? text : undefined

const args = process.argv.slice(2)
/** The last commit before the engines were replaced: later ones are held against it, not against each other. */
const commit = args.map(commitOf).find((found) => found !== undefined) ?? "2d630f74"
const chosen = args.filter((arg) => commitOf(arg) === undefined)

const rounds = 3
/** A figure that is worse than this part of the other version's is marked. */
const tolerated = 0.9

interface Row {
  /** What is counted: entries, or one start. */
  readonly count: number
  /** Makes what the row needs, once. */
  readonly make: (place: Place, other: Place) => void | Promise<void>
  /** Done before each run, outside of its time. */
  readonly before?: (place: Place, other: Place) => void
  readonly args: (place: Place, other: Place) => ReadonlyArray<string>
  readonly peer?: (place: Place, other: Place) => ReadonlyArray<string>
  /** Other than the usual ones, where a run is short or long. */
  readonly rounds?: number
}

const files = 10_000
const inPlace = ({ folder }: Place, name: string): string => path.join(folder, name)
const source = (place: Place): string => inPlace(place, "source")
const copy = (place: Place): string => inPlace(place, "copy")
const makeSource = (place: Place): void =>
  makeTree(source(place), { folders: files / 100, filesInFolder: 100, sizeBytes: 4096 })
const removeCopy = (place: Place): void => {
  fs.rmSync(copy(place), { recursive: true, force: true })
  sync(place.folder)
}

/** Copies all files with options, beside a peer. */
const copying = (options: ReadonlyArray<string>, peer?: (from: string, to: string) => ReadonlyArray<string>): Row => ({
  count: files,
  make: makeSource,
  before: removeCopy,
  args: (place) => ["copy", ...options, "-T", source(place), copy(place)],
  ...peer === undefined ? {} : { peer: (place: Place) => peer(source(place), copy(place)) }
})

const again = (options: ReadonlyArray<string>): Row => ({
  ...copying(options, (from, to) => ["rsync", "-a", `${from}/`, to]),
  make: (place) => {
    makeSource(place)
    duplicate(source(place), copy(place))
  },
  before: () => {}
})

const photos = 12

const rows: Readonly<Record<string, Row>> = {
  start: {
    count: 1,
    rounds: 15,
    make: (place) => fs.writeFileSync(source(place), "content"),
    before: removeCopy,
    args: (place) => ["copy", "-T", source(place), copy(place)],
    peer: () => [process.execPath, "-e", "0"]
  },
  copy: copying([], (from, to) => ["cp", "-a", from, to]),
  "copy --verify": copying(["--verify"]),
  "copy --durable": copying(["--durable"]),
  "copy --checksums": {
    ...copying([]),
    args: (place) => ["copy", "--checksums", inPlace(place, "sums"), "-T", source(place), copy(place)]
  },
  "copy --preserve all": copying(["--preserve", "all"]),
  again: again([]),
  move: {
    count: files,
    make: makeSource,
    before: (place, other) => {
      fs.rmSync(copy(other), { recursive: true, force: true })
      fs.rmSync(inPlace(place, "root"), { recursive: true, force: true })
      duplicate(source(place), inPlace(place, "root"))
      sync(place.folder)
      sync(other.folder)
    },
    args: (place, other) => ["move", "-T", inPlace(place, "root"), copy(other)],
    peer: (place, other) => ["mv", inPlace(place, "root"), copy(other)]
  },
  verify: {
    count: files,
    make: again([]).make,
    args: (place) => ["verify", source(place), copy(place)],
    peer: (place) => ["diff", "-r", "--no-dereference", source(place), copy(place)]
  },
  hash: {
    count: files,
    make: makeSource,
    args: (place) => ["hash", source(place)],
    peer: (place) => ["sh", "-c", `find "$0" -type f -print0 | xargs -0 b3sum`, source(place)]
  },
  delete: {
    count: files,
    make: makeSource,
    before: (place) => {
      removeCopy(place)
      duplicate(source(place), copy(place))
      sync(place.folder)
    },
    args: (place) => ["delete", copy(place)],
    peer: (place) => ["rm", "-r", copy(place)]
  },
  thumbnail: {
    count: photos,
    rounds: 3,
    make: async (place) => {
      fs.mkdirSync(source(place))
      const raw = { width: 2000, height: 1500, channels: 3 } as const
      const pixels = noise(raw.width * raw.height * raw.channels)
      for (let n = 0; n < photos; n++) await sharp(pixels, { raw }).jpeg().toFile(inPlace(place, `source/${n}.jpg`))
    },
    before: (place) => {
      removeCopy(place)
      fs.mkdirSync(copy(place))
    },
    args: (place) => ["thumbnail", source(place), "--output", copy(place)]
  }
}

interface Usage {
  readonly millis: number
  /** Milliseconds of processors outside of the kernel. */
  readonly userMillis: number
}

const timed = (name: string, argv: ReadonlyArray<string>): Usage => {
  const start = performance.now()
  const { error, status, stderr } = spawnSync("/usr/bin/time", ["-f", "%U", ...argv], {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8"
  })
  const millis = performance.now() - start
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`, { cause: error })
  return { millis, userMillis: Number(stderr.trim().split("\n").at(-1)) * 1000 }
}

/** Calls that wait, take memory or read a clock differ from run to run; those of the database are its own. */
const uncounted = new Set(
  `brk clock_gettime clock_nanosleep epoll_ctl epoll_pwait epoll_wait fcntl fdatasync futex getrandom
  madvise mmap mprotect munmap pwrite64 rt_sigaction rt_sigprocmask sched_getaffinity sched_yield total write`.split(
    /\s+/
  )
)

const callsOf = (argv: ReadonlyArray<string>, output: string): number => {
  spawnSync("strace", ["-f", "-c", "-o", output, ...argv], { stdio: "ignore" })
  return fs.readFileSync(output, "utf8").split("\n").reduce((sum, line) => {
    const cells = line.trim().split(/\s+/)
    return uncounted.has(cells.at(-1) ?? "") ? sum : sum + (Number(cells[3]) || 0)
  }, 0)
}

const show = (...cells: ReadonlyArray<string>): void =>
  console.log(cells.map((cell, index) => index === 0 ? cell.padEnd(20) : cell.padStart(14)).join(""))
const times = (value: number): string => `× ${value.toFixed(2)}`
const middle = (numbers: ReadonlyArray<number>, others: ReadonlyArray<number>): number =>
  median(numbers.map((number, round) => number / (others[round] ?? Number.NaN)))

const measure = async (name: string, row: Row, before: string, place: Place, other: Place): Promise<void> => {
  await row.make(place, other)
  const db = path.join(place.outside, "jobs.db")
  const commandOf = (folder: string) => [
    process.execPath,
    path.join(folder, "packages/cli/bin/fanout.js"),
    ...row.args(place, other),
    "--quiet",
    "--db",
    db
  ]
  const peer = row.peer?.(place, other)
  const entrants = [
    commandOf(project),
    commandOf(before),
    ...peer !== undefined && isInstalled(peer[0] ?? "") ? [peer] : []
  ]
  const reset = (): void => {
    removeDatabase(db)
    row.before?.(place, other)
  }
  const usages = entrants.map((): Array<Usage> => [])
  // The first round is for what has to be in memory.
  for (let round = 0; round <= (row.rounds ?? rounds); round++) {
    const order = Array.from(entrants.entries())
    // Whoever comes behind another one has what that leaves to be written: each comes first in its turn.
    for (const [index, argv] of [...order.slice(round % order.length), ...order.slice(0, round % order.length)]) {
      reset()
      const usage = timed(argv.join(" "), argv)
      if (round > 0) usages[index]?.push(usage)
    }
  }
  const calls = !isInstalled("strace") ? [] : [project, before].map((folder) => {
    reset()
    return callsOf(commandOf(folder), path.join(place.outside, "calls")) / row.count
  })
  const [own = [], old = [], peers = []] = usages.map((each) => each.map(({ millis }) => millis))
  const [user = 0, oldUser = 0] = usages.map((each) =>
    median(each.map(({ userMillis }) => userMillis)) * 1000 / row.count
  )
  const speed = middle(old, own)
  const isSlow = speed < tolerated || user * tolerated > oldUser
  show(
    name,
    `${median(own).toFixed(0)} ms`,
    times(speed),
    peers.length === 0 ? "" : times(middle(peers, own)),
    `${user.toFixed(1)} µs`,
    `${oldUser.toFixed(1)} µs`,
    ...calls.map((count) => count.toFixed(1)),
    ...isSlow ? ["slower"] : []
  )
}

/** Tasks that do nothing, a second, by each way that runs them. */
const measureTasks = (way: string, before: string): void => {
  const perSecond = [project, before].map((): Array<number> => [])
  for (let round = 0; round < 2; round++) {
    for (const [index, folder] of [project, before].entries()) {
      const argv = ["--conditions=@fanout/source", path.join(folder, "bench/cluster.ts"), way, "Nothing"]
      const { status, stderr, stdout } = spawnSync(process.execPath, argv, { encoding: "utf8" })
      if (status !== 0) throw new Error(`tasks by ${way} ended with ${status}: ${stderr}`)
      perSecond[index]?.push(JSON.parse(stdout).perSecond)
    }
  }
  const [own = [], old = []] = perSecond
  const speed = middle(own, old)
  show(`task by ${way}`, `${Math.round(median(own))} /s`, times(speed), ...speed < tolerated ? ["slower"] : [])
}

const ways = ["fibers", "threads", "workers"]
const names = [...Object.keys(rows), ...ways]
const unknown = chosen.find((name) => !names.includes(name))
if (unknown !== undefined) {
  console.error(`${unknown} is none of the rows: ${names.join(", ")}`)
  process.exitCode = 2
} else {
  const before = buildOf(commit)
  show("", "this", `beside ${commit.slice(0, 5)}`, "peer", "user", "before", "calls", "before")
  for (const [name, row] of Object.entries(rows)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    const size = { gib: 1, inodes: 100_000 }
    await withPlace(size, (place) => withPlace(size, (other) => measure(name, row, before, place, other)))
  }
  for (const way of ways) if (chosen.length === 0 || chosen.includes(way)) measureTasks(way, before)
}
