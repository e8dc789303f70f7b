/**
 * Remembers the folders that a retry puts files into: they had their times before, and are to have them again. One with
 * a mode by which not even its owner may write in it gets another one for as long.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type { Saved } from "@fanout/core/Job"
import type { JobContext } from "@fanout/core/JobContext"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Lease from "@fanout/core/Lease"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { removeFolder } from "../move/movedSource.ts"
import type { Transfer } from "../path/destination.ts"
import * as Place from "../path/place.ts"

/** No more are remembered. */
const most = 100_000

/** Bits of a mode without which its owner can't give names in a folder. */
const writingBits = 0o300

/** A folder that was touched, and what it had. */
const Touched = Schema.Struct({
  path: FilePath.FilePath,
  /** Folder that the sources are in. */
  source: FilePath.FilePath,
  inode: Schema.BigInt,
  accessedNanos: Schema.BigInt,
  modifiedNanos: Schema.BigInt,
  /** If that is another one by now. */
  mode: Schema.optionalKey(Schema.Natural)
})
type Touched = typeof Touched.Type

/** So many are stored together: to store one more is to store all of these. */
const pageSize = 16

/** Those that are stored, by pages: a run that is killed gives nothing back. Databases know them by the first name. */
const storedOn = (page: number) =>
  Checkpoint.make(page === 0 ? "opened folders" : `opened folders ${page}`, Schema.Array(Touched))

/** Stores them. */
class StoredFolders {
  private readonly pages: Array<Map<FilePath.FilePath, Touched>>
  private readonly pageOf: Map<FilePath.FilePath, number>
  private readonly context: Context.Context<JobContext>

  constructor(stored: ReadonlyArray<ReadonlyArray<Touched>>, context: Context.Context<JobContext>) {
    this.pages = stored.map((page) => new Map(page.map((one) => [one.path, one])))
    this.pageOf = new Map(stored.flatMap((page, index) => page.map(({ path }) => [path, index])))
    this.context = context
  }

  add(one: Touched): Effect.Effect<void, JobStoreError> {
    return Effect.suspend(() => {
      const isFull = (this.pages.at(-1)?.size ?? pageSize) >= pageSize
      const page = this.pageOf.get(one.path) ?? (isFull ? this.pages.push(new Map()) : this.pages.length) - 1
      this.pageOf.set(one.path, page)
      this.pages[page]?.set(one.path, one)
      return this.save(page)
    })
  }

  remove(path: FilePath.FilePath): Effect.Effect<void, JobStoreError> {
    return Effect.suspend(() => {
      const page = this.pageOf.get(path)
      if (page === undefined) return Effect.void
      this.pageOf.delete(path)
      this.pages[page]?.delete(path)
      return this.save(page)
    })
  }

  readonly clear: Effect.Effect<void, JobStoreError> = Effect.suspend(() => {
    this.pageOf.clear()
    return Effect.forEach(this.pages, (page, index) => {
      if (page.size === 0) return Effect.void
      page.clear()
      return this.save(index)
    }, { discard: true })
  })

  private save(page: number): Effect.Effect<void, JobStoreError> {
    const all = Array.from(this.pages[page]?.values() ?? [])
    return Effect.provideContext(storedOn(page).save(all), this.context)
  }
}

/** Those that a run before this one has stored. */
const readStored = Effect.fnUntraced(function*<R>(
  read: (page: ReturnType<typeof storedOn>) => Effect.Effect<
    Option.Option<ReadonlyArray<Touched>>,
    Checkpoint.CheckpointUnreadable | JobStoreError,
    R
  >
) {
  const pages: Array<ReadonlyArray<Touched>> = []
  for (;;) {
    // Only a later version of this could have stored something else.
    const page = yield* Effect.catchTag(read(storedOn(pages.length)), "CheckpointUnreadable", Effect.die)
    if (Option.isNone(page)) return pages
    pages.push(page.value)
  }
})

/** What remembers them. */
interface TouchedFolders {
  readonly known: Map<FilePath.FilePath, Touched>
  /** Those that this run may write in. */
  readonly open: Set<FilePath.FilePath>
  /** All that are known, for a run after this one. */
  readonly stored: StoredFolders
  readonly turns: Semaphore.Semaphore
}

/** Reference to what remembers them; only where some may have been ended before. */
export const TouchedFolders = Context.Reference<TouchedFolders | undefined>("@fanout/ops/internal/touchedFolders", {
  defaultValue: () => undefined
})

/** Remembers them, with those of a run that was stopped. */
export const make: Effect.Effect<TouchedFolders, JobStoreError, JobContext> = Effect.gen(function*() {
  const context = yield* Effect.context<JobContext>()
  const pages = yield* readStored((page) => page.get)
  const known = new Map(pages.flat().map((one) => [one.path, one]))
  return { known, open: new Set(), stored: new StoredFolders(pages, context), turns: Semaphore.makeUnsafe(1) }
})

/** Lets something be put into a folder, if it belongs to whoever runs this. Otherwise that fails, as it would have. */
const open = Effect.fnUntraced(function*(path: FilePath.FilePath, stat: Files.FileStat) {
  const file = yield* Files.Files.use((files) => files.open(path))
  const found = yield* file.stat
  if (Files.isSameInode(found, stat)) yield* file.setMode(stat.mode | writingBits)
}, Effect.scoped)

/** Whether a folder has the mode that it has been opened by, and is to have the one before that. */
const isOpened = (found: Files.FileStat, before: Touched): before is Touched & { readonly mode: number } =>
  before.inode === found.inode && before.mode !== undefined && found.mode === (before.mode | writingBits)

const touch = Effect.fnUntraced(function*(
  { known, open: mayBeWritten, stored }: TouchedFolders,
  source: FilePath.FilePath,
  folder: Files.Folder,
  given?: Files.FileTimes,
  ended?: Touched
) {
  const { path } = folder
  // Whoever was here meanwhile has seen it as it was.
  if (mayBeWritten.has(path)) return
  if (FilePath.isAddress(path)) {
    // It has nothing that changes, and may not be there yet. A move removes the folder that the source was in.
    const one = { path, source, inode: 0n, accessedNanos: 0n, modifiedNanos: 0n }
    known.set(path, one)
    yield* stored.add(one)
    mayBeWritten.add(path)
    return
  }
  const found = yield* folder.stat
  const { inode } = found
  const { mode } = ended !== undefined && isOpened(found, ended) ? ended : found
  const isClosed = (mode & writingBits) !== writingBits
  const { accessedNanos, modifiedNanos } = given ?? found
  const before = known.get(path)
  // Another one may have taken the place of what a run before this one was in.
  const one = before?.inode === inode
    ? before
    : { path, source, inode, accessedNanos, modifiedNanos }
  const touched = isClosed ? { mode, ...one } : one
  known.set(path, touched)
  // Whoever goes on after a kill finds the time of what was written until then.
  yield* stored.add(touched)
  if (isClosed) yield* Effect.ignore(open(path, found))
  mayBeWritten.add(path)
})

/** Remembers the folder that something is about to be put into, and that which its source is in, or was. */
export const add = Effect.fnUntraced(function*(source: FilePath.FilePath, target: Place.Place) {
  const touched = yield* TouchedFolders
  if (touched === undefined || touched.known.size >= most || touched.open.has(target.folder.path)) return
  yield* touched.turns.withPermits(1)(touch(touched, FilePath.parent(source), target.folder))
})

/** Whether a source is a folder still: a move has left something in it, or others are yet to take that out. */
const isLeft = Effect.fnUntraced(function*({ known }: TouchedFolders, source: FilePath.FilePath) {
  const { isMove } = yield* CopyOptions
  return isMove && known.size < most && Option.isSome(yield* Files.Files.use((files) => files.find(source)))
})

/** Whether a folder is to have a mode by which its owner may write in it, once it is ended. */
export const staysOpen = Effect.fnUntraced(function*(source: Place.Place) {
  const [touched, { keeps }] = [yield* TouchedFolders, yield* CopyOptions]
  if (touched === undefined || !keeps.has("mode")) return false
  return Option.exists(yield* Place.find(source), ({ mode }) => (mode & writingBits) === writingBits)
})

/**
 * Remembers a folder that was ended after all with the times that it was given, or else has by then: a retry does that
 * beside what has failed in there, which may go on for longer.
 */
export const end = Effect.fnUntraced(function*(
  source: FilePath.FilePath,
  target: Place.Place,
  given: Files.FileTimes | undefined,
  isOpen: boolean
) {
  const touched = yield* TouchedFolders
  if (touched === undefined) return
  const path = Place.path(target)
  yield* touched.turns.withPermits(1)(Effect.gen(function*() {
    const before = touched.known.get(path)
    if (before === undefined && !(yield* isLeft(touched, source))) return
    touched.known.delete(path)
    touched.open.delete(path)
    yield* touched.stored.remove(path)
    // Others may have opened it since it got its mode, or it got none.
    yield* touch(touched, source, yield* Place.openFolder(target), given, isOpen ? undefined : before)
  }))
}, Effect.scoped)

/** Who may not look into a folder any more reaches nothing below it. */
const deepestFirst = (a: Touched, b: Touched): number => b.path.length - a.path.length

/** Gives a folder the mode and times that it had. Whatever has taken its place keeps its own. */
const restore = Effect.fnUntraced(function*({ inode, mode, path, ...times }: Touched, onlyOpen = false) {
  if (FilePath.isAddress(path)) return
  const folder = yield* Place.openFile(yield* Place.open(path))
  const found = yield* folder.stat
  if (found.kind !== "folder" || found.inode !== inode) return
  if (onlyOpen && (mode === undefined || found.mode !== (mode | writingBits))) return
  if (mode !== undefined) yield* folder.setMode(mode)
  yield* folder.setTimes(times)
}, Effect.scoped)

/** Gives folders the modes that they had, where a job has to stop: what goes on opens them again. */
export const close = Effect.gen(function*() {
  const touched = yield* TouchedFolders
  const all = Array.from(touched?.known.values() ?? []).filter(({ mode }) => mode !== undefined)
  for (const one of all.toSorted(deepestFirst)) yield* Effect.ignore(Effect.andThen(Lease.check, restore(one)))
})

/** Gives folders that a run has left open what they had, where nobody goes on with it. What was changed since stays. */
export const restoreAll = Effect.fnUntraced(function*(saved: Saved) {
  const pages = yield* readStored(saved)
  for (const one of pages.flat().toSorted(deepestFirst)) {
    yield* Effect.ignore(Effect.andThen(Lease.check, restore(one, true)), { log: "Warn" })
  }
}, Effect.ignore({ log: "Warn" }))

/** Removes a folder and those above it, up to a source, as far as nothing is left in them. */
const removeEmpty = Effect.fnUntraced(function*(folder: FilePath.FilePath, top: FilePath.FilePath) {
  for (let path = folder; FilePath.isWithin(path, top); path = FilePath.parent(path)) {
    // It may be gone with the one that it was in.
    yield* Effect.ignore(Effect.flatMap(Place.open(path), removeFolder))
  }
}, Effect.scoped)

/**
 * Gives folders of these transfers the modes and times that they had, and removes those that a move has taken the last
 * file out of. Where that can't be it is as if nobody had tried.
 */
export const finish = Effect.fnUntraced(function*(transfers: ReadonlyArray<Transfer>) {
  const touched = yield* TouchedFolders
  if (touched === undefined) return
  const { isMove } = yield* CopyOptions
  const all = Array.from(touched.known.values()).toSorted(deepestFirst)
  for (const { source, target } of transfers) {
    for (const one of all.filter(({ path }) => FilePath.isWithin(path, target))) {
      yield* Effect.ignore(restore(one))
      if (isMove) yield* Effect.ignore(removeEmpty(one.source, source))
    }
  }
  touched.known.clear()
  yield* touched.stored.clear
})
