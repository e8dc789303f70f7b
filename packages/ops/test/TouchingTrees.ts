/**
 * Copies and moves in one generated tree, where sources and targets touch: links lead from one to the other, files have
 * names in both, one is in the other, and a path may lead through a link. Processes are killed, and people tidy up
 * before the job goes on.
 */
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Move from "@fanout/ops/Move"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Conflict from "../src/internal/steps/conflict.ts"
import { remembering } from "./copyHarness.ts"
import * as KilledProcess from "./KilledProcess.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const Name = Schema.Literals(["a", "b"])
const pathOf = (least: number) =>
  Schema.Array(Name).pipe(Schema.check(Schema.isMinLength(least), Schema.isMaxLength(4)))

const Entry = Schema.Struct({
  path: pathOf(2),
  kind: Schema.Literals(["file", "file", "file", "folder", "link", "link", "hard link"]),
  /** Where a link leads, or what a further name is one of. */
  to: pathOf(2),
  modified: Schema.Literals([4, 5])
})

const Below = Schema.Struct({ source: Schema.Literals([0, 1]), below: Schema.Literals(["x", "y", "a/x", "b/x"]) })

const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 11 }))

/** What somebody does while a job is stopped, to one of its sources or to where that goes. */
const Tidying = Schema.Struct({
  source: Schema.Literals([0, 1]),
  what: Schema.Literals([
    "nothing",
    "makes the source anew",
    "makes anew what is gone of the source",
    "files the target away",
    "files the target away, and makes the source anew"
  ])
})

export const World = Schema.Struct({
  tree: Schema.Array(Entry).pipe(Schema.check(Schema.isMinLength(6), Schema.isMaxLength(20))),
  /** Places in the list of all that is there; whether the folder itself is left out. */
  sources: Schema.NonEmptyArray(
    Schema.Struct({ place: Place, isContent: Schema.Literals([false, false, false, true]) })
  )
    .pipe(Schema.check(Schema.isMaxLength(2))),
  /** Place in the list of all folders. */
  destination: Schema.Struct({ place: Place, isNew: Schema.Literals([false, false, false, true]) }),
  /** Whether a single source is to be the destination. */
  isTarget: Schema.Boolean,
  /** Files where something goes to, and what leads to them from there where it comes from. */
  crossings: Schema.Array(Schema.Struct({
    at: Below,
    other: Below,
    kind: Schema.Literals([
      "link",
      "hard link",
      "file",
      "link to another",
      "swapped links",
      "chain in the target",
      "chain in the source",
      "link to the folder"
    ])
  })).pipe(Schema.check(Schema.isMaxLength(3))),
  conflict: Schema.Literals([...Conflict.Mode.literals, "overwrite"]),
  moves: Schema.Literals([true, true, false]),
  /** Whether all in `b` is on another file system. */
  isElsewhere: Schema.Boolean,
  isTogether: Schema.Boolean,
  ways: Schema.Struct({
    lacksLinks: Schema.Literals([false, false, true]),
    renamesExclusively: Schema.Literals([true, true, false]),
    usesInodesAgain: Schema.Boolean
  }),
  /** After so many calls a process is killed, and somebody tidies up. */
  kills: Schema.Array(Schema.Struct({
    calls: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })),
    tidying: Tidying
  })).pipe(Schema.check(Schema.isMaxLength(2))),
  /** What is done before the failures of a job that is over are tried again. */
  beforeRetry: Tidying
})
export type World = typeof World.Type

const root = "/w"
const at = (path: ReadonlyArray<string>): string => [root, ...path].join("/")

const plant = ({ isElsewhere, tree, ways }: World): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  disk.renamesExclusively = ways.renamesExclusively
  disk.usesInodesAgain = ways.usesInodesAgain
  disk.folder("/kept")
  disk.folder(root)
  disk.takes(root, { lacksLinks: ways.lacksLinks })
  const isOnOther = (path: ReadonlyArray<string>) => isElsewhere && path[0] === "b"
  const enter = (path: ReadonlyArray<string>): void => {
    disk.device = isOnOther(path) ? 2n : 1n
    for (let depth = 1; depth < path.length; depth++) {
      const folder = at(path.slice(0, depth))
      if (disk.see(folder) === undefined) disk.folder(folder)
    }
  }
  for (const [n, { kind, modified, path, to }] of tree.entries()) {
    try {
      enter(path)
      if (kind === "folder") disk.folder(at(path))
      else if (kind === "link") disk.symlink(at(path), `${"../".repeat(path.length - 1)}${to.join("/")}`)
      else if (kind === "file") disk.file(at(path), `content ${n}`, { modified: BigInt(modified) })
      else if (disk.see(at(to))?.kind === "file" && isOnOther(path) === isOnOther(to)) disk.hardLink(at(to), at(path))
    } catch {
      // Something else has the name, or one above it.
    }
  }
  disk.device = 1n
  return disk
}

/** Has sources and targets touch. */
const cross = (disk: MemoryFiles.Disk, { crossings }: World, transfers: Copy.Payload["transfers"]): void => {
  const attempt = (make: () => void): void => {
    try {
      make()
    } catch {
      // It is there, or no folder around it.
    }
  }
  const pathsOf = ({ below, source: index }: typeof Below.Type) => {
    const { source, target } = transfers[index] ?? transfers[0]
    return { from: `${source}/${below}`, to: `${target}/${below}` }
  }
  for (const [n, { at, kind, other }] of crossings.entries()) {
    const [{ from, to }, { from: otherFrom, to: otherTo }] = [pathsOf(at), pathsOf(other)]
    const link = (path: string, target: string) => attempt(() => disk.symlink(path, target))
    for (const path of [to, otherTo, from, otherFrom].map(FilePath.make)) {
      for (const folder of [FilePath.parent(FilePath.parent(path)), FilePath.parent(path)]) {
        attempt(() => disk.see(folder) === undefined && disk.folder(folder))
      }
    }
    if (kind === "chain in the target") link(otherTo, to)
    for (const path of [to, otherTo]) {
      attempt(() => disk.see(path) === undefined && disk.file(path, `crossing ${n} ${path}`))
    }
    if (kind === "link") link(from, to)
    else if (kind === "hard link") attempt(() => disk.see(to)?.kind === "file" && disk.hardLink(to, from))
    else if (kind === "file") attempt(() => disk.file(from, `crossed ${n}`))
    else if (kind === "chain in the source") link(from, otherFrom)
    else if (kind === "link to the folder") link(from, FilePath.parent(FilePath.make(to)))
    else link(from, otherTo)
    if (kind === "swapped links" || kind === "chain in the source") link(otherFrom, to)
  }
}

/** What the command is given. */
const argumentsOf = (disk: MemoryFiles.Disk, { destination, isTarget, sources }: World) => {
  const found = Object.entries(disk.tree(root)).map(([path, seen]) => [`${root}/${path}`, seen.kind] as const)
  const folders = [root, ...found.flatMap(([path, kind]) => kind === "folder" ? [path] : [])]
  const oneOf = (paths: ReadonlyArray<string>, place: number): string => paths[place % paths.length] ?? root
  const paths = found.map(([path]) => path)
  const folder = oneOf(folders, destination.place)
  const isOne = sources.length === 1
  return {
    sources: Arr.map(
      sources,
      ({ isContent, place }) => FilePath.make(isContent ? `${oneOf(folders, place)}/.` : oneOf(paths, place))
    ),
    destination: FilePath.make(destination.isNew && isOne ? `${folder}/c` : folder),
    noTargetDirectory: isTarget && isOne
  }
}

/** Contents of all files, and the paths of each. */
const contents = (disk: MemoryFiles.Disk): ReadonlyMap<string, ReadonlyArray<string>> => {
  const found = new Map<string, Array<string>>()
  for (const [path, seen] of Object.entries(disk.tree("/"))) {
    if (seen.kind === "file") found.set(seen.text, [...found.get(seen.text) ?? [], `/${path}`])
  }
  return found
}

const isIn = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

/**
 * Finds, among contents that are gone, those of files whose places links took of which each leads to the place of the
 * next: of such a circle, one has to be left.
 */
const circlesOf = (disk: MemoryFiles.Disk, transfers: Copy.Payload["transfers"]) => {
  const all = disk.tree("/")
  const files = contents(disk)
  const textOf = new Map(
    Array.from(files, ([text, [path = ""]]) => [disk.find(FilePath.make(path)), text] as const)
  )
  /** What the links lead to that come into a place. Nothing else that comes there is in a circle. */
  const nextOf = (path: string): ReadonlyArray<string | undefined> =>
    transfers.filter(({ target }) => isIn(path, target)).map(({ source, target }) => {
      const own = source + path.slice(target.length)
      const inode = all[own.slice(1)]?.kind === "link" ? led(disk, own) : undefined
      return inode && textOf.get(inode)
    })
  const next = new Map(Array.from(files, ([text, paths]) => [text, paths.flatMap(nextOf)]))
  return function left(gone: ReadonlyArray<string>): ReadonlyArray<string> {
    const still = gone.filter((text) => next.get(text)?.every((other) => other !== undefined && gone.includes(other)))
    return still.length === gone.length ? still : left(still)
  }
}

/**
 * The contents that the command may destroy, as it was asked to: those of files that are in no source, in the place of
 * each of whose names something of a source is to come. What is to come is not a link that leads to that very file.
 */
const mayGo = (disk: MemoryFiles.Disk, { conflict }: World, transfers: Copy.Payload["transfers"]) => {
  const all = disk.tree("/")
  const replaces = conflict === "changed" || conflict === "overwrite"
  const isReplaced = (path: string): boolean =>
    transfers.some(({ source, target }) => {
      if (!isIn(path, target)) return false
      const below = path.slice(target.length)
      const own = all[(source + below).slice(1)]
      if (own?.kind === "link") return led(disk, source + below) !== disk.find(FilePath.make(path))
      return own?.kind === "file"
    })
  const isSource = (path: string): boolean => transfers.some(({ source }) => isIn(path, source))
  return new Set(
    Array.from(contents(disk)).flatMap(([content, paths]) =>
      replaces && paths.every((path) => isReplaced(path) && !isSource(path)) ? [content] : []
    )
  )
}

const led = (disk: MemoryFiles.Disk, link: string) => {
  try {
    return disk.find(FilePath.make(link), true)
  } catch {
    return undefined
  }
}

/** Somebody who tidies up, and tells the contents of what was made. */
class Tidier {
  readonly made = new Set<string>()
  private readonly disk: MemoryFiles.Disk
  private readonly transfers: Copy.Payload["transfers"]
  /** What was there before, by which it is made anew. */
  private readonly before: ReadonlyArray<readonly [string, MemoryFiles.Seen]>
  private count = 0

  constructor(disk: MemoryFiles.Disk, transfers: Copy.Payload["transfers"]) {
    this.disk = disk
    this.transfers = transfers
    this.before = Object.entries(disk.tree("/")).map(([path, seen]) => [`/${path}`, seen])
  }

  /** Takes something to a place where no job comes. */
  private keep(path: string): void {
    if (path !== root && this.disk.see(path) !== undefined) this.disk.rename(path, `/kept/${this.count++}`)
  }

  private makeAnew(source: string): void {
    for (const [path, { kind }] of this.before.filter(([path]) => isIn(path, source))) {
      if (this.disk.see(path) !== undefined) continue
      if (kind === "folder") this.disk.folder(path)
      if (kind !== "file") continue
      const content = `made anew ${this.count++}`
      this.disk.file(path, content)
      this.made.add(content)
    }
  }

  tidy({ source: index, what }: World["beforeRetry"]): void {
    const { source, target } = this.transfers[index] ?? this.transfers[0]
    try {
      if (what.startsWith("files the target away")) this.keep(target)
      if (what.endsWith("makes the source anew")) this.keep(source)
      if (what.includes("anew")) this.makeAnew(source)
    } catch {
      // The folder around it is gone.
    }
  }
}

/** Runs a world to its end, and tells which contents are gone that are not to go. */
export const run = (world: World) =>
  Effect.gen(function*() {
    const { beforeRetry, conflict, kills, moves } = world
    const disk = plant(world)
    const plan = Effect.suspend(() =>
      Effect.exit(Effect.provide(
        Copy.plan({ ...argumentsOf(disk, world), conflict }),
        MemoryFiles.layer(disk)
      ))
    )
    const first = yield* plan
    if (Exit.isSuccess(first)) cross(disk, world, first.value.transfers)
    const before = contents(disk)
    const payload = yield* plan
    if (Exit.isFailure(payload)) return { isRefused: true, isOver: true, lost: [] }
    const { transfers } = payload.value
    const going = mayGo(disk, world, transfers)
    const inCircles = circlesOf(disk, transfers)
    const tidier = new Tidier(disk, transfers)
    const memory = remembering()
    const manager = yield* KilledProcess.starter(disk, memory)
    const { id } = yield* manager.start(moves ? Move.job : Copy.job, payload.value)
    const state = Effect.map(manager.get(id), ({ state }) => state._tag)
    const waited = Effect.andThen(TestClock.adjust("1 second"), state)
    const ended = Effect.repeat(waited, { until: (state) => state.startsWith("Completed"), times: 60 })
    for (const { calls, tidying } of kills) {
      yield* KilledProcess.open(disk, world, memory, calls)
      yield* TestClock.adjust("10 seconds")
      tidier.tidy(tidying)
    }
    yield* KilledProcess.open(disk, world, memory, Number.POSITIVE_INFINITY)
    yield* TestClock.adjust("10 seconds")
    let last = yield* ended
    if (last === "CompletedWithErrors") {
      tidier.tidy(beforeRetry)
      yield* manager.retry(id)
      last = yield* ended
    }
    const after = contents(disk)
    const roots = transfers.flatMap(({ source, target }) => [source, target])
    // What is made anew in the place of another source or target may be asked to be replaced.
    const areApart = roots.every((one, n) => roots.every((other, m) => n === m || !isIn(one, other)))
    const wanted = [...before.keys(), ...areApart ? tidier.made : []]
    const gone = wanted.filter((content) => !after.has(content))
    const lost = [
      ...gone.filter((content) => !going.has(content)),
      ...inCircles(gone.filter((content) => going.has(content)))
    ]
    return { isRefused: false, isOver: last.startsWith("Completed"), lost }
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(MemoryJobStore.layer)))
