/**
 * Handler of the task `CopyFiles`.
 *
 * @since 0.1.0
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { CopyOptions } from "./CopyOptions.ts"
import { type CopiedFiles, CopyFiles, ThreadTasks } from "./CopyTask.ts"
import * as FilePath from "./FilePath.ts"
import * as Files from "./Files.ts"
import { Copying, countOwnersLost, type Held } from "./internal/copying.ts"
import { type Flush, prepare } from "./internal/durability.ts"
import { copyFolders } from "./internal/folders.ts"
import * as HeldFiles from "./internal/heldFiles.ts"
import * as MovingTogether from "./internal/movingTogether.ts"
import { temporaryName } from "./internal/placing.ts"
import * as ReadBack from "./internal/readBack.ts"
import * as SavedCopy from "./internal/savedCopy.ts"

type Payload = Task.Payload<typeof CopyFiles>

/** Tells whether the job may go on here. */
const working = Effect.gen(function*() {
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  return () => stop.reason === undefined && lease.isHeldUnsafe()
})

/** Tells which copies are on the device, and the same there: they may get their names, if they have none yet. */
const readyOf = Effect.fnUntraced(function*(to: Files.Folder, copying: Copying, flush: Flush) {
  const { held } = copying
  const others = yield* MovingTogether.linked(copying)
  const files = held.flatMap(({ file }) => file ?? [])
  const compared = held.flatMap(({ digests, file = [] }) => digests?.compared === undefined ? [] : file)
  const write = Effect.andThen(flush.content(files), ReadBack.prepare(compared))
  // Whoever must stop, or owns the job no more, gives nothing its name.
  const isWritten = copying.mayWork() && (files.length === 0 || (yield* Effect.isSuccess(write)))
  const ready: Array<Held> = []
  for (const one of held) {
    const { digests: { compared } = {}, file, name, sizeBytes } = one
    const isSame = isWritten && !others.has(one) &&
      (file === undefined || compared === undefined || (yield* Effect.isSuccess(
        ReadBack.compare(file, { digest: compared, sizeBytes }, FilePath.join(to.path, name))
      )))
    if (isSame) ready.push(one)
    else copying.notPlaced(one)
  }
  return ready
})

/** Gives copies their names, and tells which have theirs. */
const nameHeld = Effect.fnUntraced(function*(to: Files.Folder, copying: Copying, flush: Flush) {
  const ready = yield* readyOf(to, copying, flush)
  if (copying.isKeptFirst) yield* SavedCopy.record(ready.map(({ index }) => ({ index, saved: copying.begun })))
  const named: Array<Held> = []
  for (const one of ready) {
    const { file, name } = one
    const isNamed = copying.mayWork() && (file === undefined || (yield* Effect.isSuccess(file.link(name))))
    if (isNamed) named.push(one)
    else copying.notPlaced(one)
  }
  return named
})

/** Flushes what was there before, and tells whether there was any, and names with it. */
const flushEarlier = Effect.fnUntraced(function*(to: Files.Folder, copying: Copying, flush: Flush) {
  const { toFlush } = copying
  if (toFlush.length === 0) return false
  const files = flush.isOne ? Effect.succeed([]) : Effect.forEach(toFlush, (name) => to.open(name))
  const isFlushed = yield* Effect.isSuccess(Effect.flatMap(files, flush.earlier))
  if (!isFlushed) copying.unflushed()
  return isFlushed
}, Effect.scoped)

/** Places copies, and tells which are in their places. What fails by itself is tried again from the source. */
const placeHeld = Effect.fnUntraced(function*(to: Files.Folder, copying: Copying, flush: Flush) {
  const placed = yield* nameHeld(to, copying, flush)
  const isFlushed = yield* flushEarlier(to, copying, flush)
  if (placed.length === 0) return placed
  if (isFlushed || (yield* Effect.isSuccess(flush.names))) {
    const compared = placed.filter(({ digests }) => digests?.compared !== undefined).length
    if (compared > 0) yield* ReadBack.count(compared)
    return placed
  }
  for (const one of placed) {
    if (copying.mayWork()) yield* Effect.ignore(to.unlink(one.name))
    copying.notPlaced(one, true)
  }
  return []
})

/** What files of a folder come to that are all copied by themselves. */
const allAlone = (alone: CopiedFiles["alone"]): CopiedFiles => ({
  copied: 0,
  linked: 0,
  unchanged: 0,
  alone,
  skipped: [],
  left: 0,
  bytes: 0
})

/** So they are where nothing could be opened: each of them is told why. */
const untouched = (names: ReadonlyArray<FilePath.FilePath>): CopiedFiles =>
  allAlone(names.map((_, index) => ({ index })))

const closeHeld = ({ held }: Copying) =>
  Effect.forEach(held, ({ file }) => file === undefined ? Effect.void : Effect.ignore(file.close), { discard: true })

const copyIn = Effect.fnUntraced(function*(payload: Payload, copying: Copying) {
  const files = yield* Files.Files
  const [from, to] = [yield* files.folder(payload.source), yield* files.folder(payload.target)]
  // From one mount of a file system to another nothing can be renamed.
  if (copying.isMove && Files.isOnSame(yield* from.identity, yield* to.identity)) {
    const { avoid, names } = payload
    // To tell their checksums each has to be read.
    if (payload.checksums !== undefined) return untouched(names)
    return {
      ...untouched(names),
      ...yield* MovingTogether.renameEach({ from, to, names, avoid, mayWork: copying.mayWork })
    }
  }
  const flush = yield* prepare(to)
  const copyEach = Effect.gen(function*() {
    yield* from.copyEach(copying.names, to, copying)
    copying.leaveRest()
    return copying.hold === undefined ? [] : yield* placeHeld(to, copying, flush)
  })
  const placed = yield* Effect.ensuring(copyEach, Effect.suspend(() => closeHeld(copying)))
  if (copying.isMove) yield* MovingTogether.removeSources({ from, to }, copying, placed)
  else for (const one of placed) copying.placed(one)
  return copying.result
}, Effect.scoped)

const copyFiles = Effect.fnUntraced(function*(
  payload: Payload
): Effect.fn.Return<CopiedFiles, never, Files.Files> {
  const { names } = payload
  const options = yield* CopyOptions
  const isHeld = options.isDurable || options.isVerified || SavedCopy.isKeptFirst(payload.conflict, options)
  const recorded = isHeld ? yield* SavedCopy.recorded : Option.none()
  if (Option.isSome(recorded)) return allAlone(SavedCopy.goingOn(names, recorded.value))
  const mayWork = yield* working
  const lease = yield* Lease.Lease
  const nameAside = (name: FilePath.FilePath) => temporaryName(lease, FilePath.join(payload.target, name))
  const run = (limit: number) =>
    Effect.suspend(() => {
      const copying = new Copying({ payload, names, options, limit, mayWork, isOwn: false, temporaryName: nameAside })
      return copyIn(payload, copying).pipe(
        Effect.tap(() => countOwnersLost(copying.ownersLost)),
        // Nothing comes in the way once a copy has its name.
        Effect.catch(() => Effect.succeed(untouched(names))),
        Effect.ensuring(Effect.sync(() => copying.giveBack()))
      )
    })
  return yield* isHeld ? HeldFiles.batch(run) : run(names.length)
})

/**
 * Copies files, or folders with all that is in them, here, until it is asked to stop or has copied as much as it may:
 * folders for no longer than so many milliseconds.
 *
 * @category running
 * @since 0.1.0
 */
export const copy = (payload: Payload, mostMillis: number): Effect.Effect<CopiedFiles, never, Files.Files> =>
  Effect.tap(
    payload.areFolders ? copyFolders(payload, mostMillis) : copyFiles(payload),
    // A move has counted what it has recorded.
    ({ bytes, moved }) => moved === undefined ? Progress.add("bytes", bytes) : Effect.void
  )

/** Long enough for what a task is given on a slow disk, so that a stop is not the only end of it. */
const mostMillis = 1000

/**
 * Layer that supplies the handler.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Task.Handler<typeof CopyFiles>, never, Files.Files> = ThreadTasks.toLayer(
  Effect.map(Files.Files, (files) => ({
    [CopyFiles._tag]: (payload: Payload) => Effect.provideService(copy(payload, mostMillis), Files.Files, files)
  }))
)
