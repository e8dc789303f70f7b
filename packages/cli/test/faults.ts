/** What tests of faults share: the command as a process, calls of it that fail or are held up, and trees as texts. */
import { afterAll, assert } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import { commandLine, runCommand, watched } from "./command.ts"

export const isRoot = process.getuid?.() === 0

/** Whether a program is there and does this. */
export const works = (program: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0

/** Whether processes can be traced here: to have the program is not enough in some containers. */
export const hasStrace = works("strace", "-f", "-qq", "-o", "/dev/null", "true")

/** Whether file systems can be mounted here. */
export const mayMount = isRoot && works("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", os.tmpdir())

/** Runs as nobody. */
export const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

// --- Places ---------------------------------------------------------------------------------------------------------

const places: Array<string> = []
const mounts: Array<string> = []

afterAll(() => {
  for (const mount of mounts) spawnSync("umount", [mount])
  // Paths may be longer than Node can remove.
  for (const place of places) spawnSync("rm", ["-rf", place])
})

/** An empty folder, with a place for a source, a target and a database that nothing else uses. */
export const freshPlace = () => {
  const place = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "fanout-fault-")))
  fs.chmodSync(place, 0o1777)
  places.push(place)
  return { place, source: path.join(place, "source"), target: path.join(place, "target") }
}

/** Mounts something for the tests of this file. */
export const mount = (on: string, ...args: ReadonlyArray<string>): void => {
  fs.mkdirSync(on, { recursive: true })
  const { status, stderr } = spawnSync("mount", [...args, on], { encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
  mounts.push(on)
}

/** Whether an image of ext4 can be mounted, and files of it have flags. */
export const hasExt4 = mayMount && spawnSync("mkfs.ext4", ["-V"]).error === undefined &&
  spawnSync("chattr", ["-V"]).error === undefined

/** Mounts an image of ext4 in a place, and gives the folder. */
export const mountExt4 = (place: string): string => {
  const [image, disk] = [path.join(place, "image"), path.join(place, "disk")]
  fs.writeFileSync(image, "")
  fs.truncateSync(image, 64 * 2 ** 20)
  assert.strictEqual(spawnSync("mkfs.ext4", ["-q", image]).status, 0)
  mount(disk, "-o", "loop", image)
  return disk
}

// --- The command ----------------------------------------------------------------------------------------------------

export const env = (place: string) => ({
  ...process.env,
  FANOUT_DB: path.join(place, "state/jobs.db"),
  NO_COLOR: "1",
  // Calls of the pool have one order then.
  UV_THREADPOOL_SIZE: "1"
})

/** Runs the command, with something before it, and waits for its end. */
export const run = (place: string, args: ReadonlyArray<string>, prefix: ReadonlyArray<string> = []) =>
  runCommand(args, { env: env(place), folder: place, prefix })

/** Starts the command. Whatever is before it is to give way to it, or its signals go elsewhere. */
export const start = (place: string, args: ReadonlyArray<string>, prefix?: ReadonlyArray<string>) =>
  watched(spawn(...commandLine(args, prefix), { env: env(place), cwd: place, stdio: ["ignore", "pipe", "pipe"] }))

/** The jobs of a place, the last one first. */
export const jobsOf = (place: string, prefix?: ReadonlyArray<string>): ReadonlyArray<Record<string, unknown>> =>
  run(place, ["jobs", "list", "--json"], prefix).stdout.trim().split("\n").map((line) => JSON.parse(line))

/** What is written with `--json`. */
export const lines = (stdout: string): ReadonlyArray<Record<string, unknown>> =>
  stdout.trim().split("\n").map((line) => JSON.parse(line))

// --- Calls that are met ---------------------------------------------------------------------------------------------

/** What is done to calls of the command. */
export interface Fault {
  readonly calls: ReadonlyArray<string>
  /** As `strace` takes it, such as `error=EIO:when=2`; without it the calls are told only. */
  readonly fault?: string
  /** Those of the calls that it is done to: all by default. */
  readonly on?: ReadonlyArray<string>
  /** Calls that don't concern these paths are left alone. */
  readonly paths?: ReadonlyArray<string>
  /** Where calls are told: nowhere by default. */
  readonly trace?: string
  /** Has the command be the process that was started, and not one below it. */
  readonly isApart?: boolean
}

/** What goes before the command so that this happens to its calls. */
export const meeting = ({ calls, fault, isApart = false, on = calls, paths = [], trace = "/dev/null" }: Fault) => [
  "strace",
  ...isApart ? ["-D"] : [],
  "-f",
  "-qq",
  "-y",
  "-s",
  "0",
  "-e",
  "signal=none",
  "-e",
  `trace=${calls.join()}`,
  "-o",
  trace,
  ...paths.flatMap((path) => ["-P", path]),
  ...fault === undefined ? [] : ["-e", `inject=${on.join()}:${fault}`]
]

/** Whether a command that is to be stopped is held up. If not, it is to have so much to do that it takes long. */
export const isHeldUp = hasStrace && !isLong

/** What goes before a command to hold it up at each of some calls, where commands are held up. */
export const slowly = (call: string, delay: string, paths?: ReadonlyArray<string>): ReadonlyArray<string> =>
  isHeldUp ? meeting({ calls: [call], fault: `delay_enter=${delay}`, isApart: true, ...paths && { paths } }) : []

/** What was told of calls until now. */
export const told = (trace: string): string => fs.existsSync(trace) ? fs.readFileSync(trace, "latin1") : ""

/** Waits until something is so, as long as the command runs. */
const until = async (
  { child }: { readonly child: { readonly exitCode: number | null } },
  isSo: () => boolean
): Promise<void> => {
  while (!isSo()) {
    assert.isNull(child.exitCode, "the command ended too soon")
    await setTimeout(5)
  }
}

/** Runs the command, and does something while one of these calls is held up: the first, if nothing is said. */
export const whileHeld = async (
  place: string,
  args: ReadonlyArray<string>,
  { calls, fault = "delay_enter=1s:when=1", paths = [] }: Fault,
  meanwhile: (child: ReturnType<typeof start>) => unknown,
  turn = 1
) => {
  const trace = path.join(place, "trace")
  fs.rmSync(trace, { force: true })
  const started = start(place, args, meeting({ calls, fault, paths, trace, isApart: true }))
  // A call is told when it begins, and its end is told then.
  await until(started, () => told(trace).split("(").length > turn)
  await meanwhile(started)
  return await started.ended
}

// --- Trees ----------------------------------------------------------------------------------------------------------

/** What a file or link holds. */
const contentOf = (file: Buffer, stat: fs.BigIntStats): string =>
  stat.isFile()
    ? createHash("sha256").update(fs.readFileSync(file)).digest("hex").slice(0, 16)
    : stat.isSymbolicLink()
    ? fs.readlinkSync(file, "latin1")
    : ""

/** Each path below a folder, in latin1, with what `describe` tells of it. */
const each = (
  root: string,
  describe: (file: Buffer, stat: fs.BigIntStats) => string
): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  const visit = (file: Buffer, name: string): void => {
    const stat = fs.lstatSync(file, { bigint: true })
    found.set(name, describe(file, stat))
    if (!stat.isDirectory()) return
    for (const entry of fs.readdirSync(file, { encoding: "buffer" })) {
      visit(Buffer.concat([file, Buffer.from("/"), entry]), `${name}/${entry.toString("latin1")}`)
    }
  }
  if (fs.existsSync(root)) visit(Buffer.from(root), ".")
  return new Map(Array.from(found).toSorted(([a], [b]) => a < b ? -1 : 1))
}

/** What is in a tree: each path with its mode, time and content. */
export const treeOf = (root: string): ReadonlyMap<string, string> =>
  each(root, (file, stat) => {
    const { mode, mtimeNs, size } = stat
    return `${mode.toString(8)} ${stat.isDirectory() ? "" : size} ${mtimeNs} ${contentOf(file, stat)}`
  })

/** What is in the files and links of a tree. */
export const contentsOf = (root: string): ReadonlyMap<string, string> =>
  new Map(Array.from(each(root, contentOf)).filter(([, content]) => content !== ""))

/** Two trees are the same, names, modes, times and contents; so nothing is left in the one that is not in the other. */
export const assertSame = (source: string, target: string, message?: string): void => {
  assert.deepStrictEqual(Object.fromEntries(treeOf(target)), Object.fromEntries(treeOf(source)), message)
}

/** Temporary files that are in a tree. */
export const strays = (root: string): ReadonlyArray<string> =>
  Array.from(each(root, () => "").keys()).filter((name) => name.includes("/.fanout-"))

/** Bytes that are not all the same, and always these. */
export const bytes = (length: number, seed: number): Buffer => {
  const block = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) % 251))
  const filled = Buffer.alloc(length, block)
  for (let at = 0; at + 4 <= length; at += 65_536) filled.writeUInt32LE(at ^ seed, at)
  return filled
}
