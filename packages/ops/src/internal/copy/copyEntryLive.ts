/**
 * Handler of the task `CopyEntry`: decides what is to happen to an entry, and has it done.
 */
import type { Interrupted } from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Lost, lostUnits, strategyUnits } from "../../ProgressUnits.ts"
import { SkipReason } from "../../SkipReason.ts"
import { checksumsOf } from "../entry/copyDigest.ts"
import type { Copied, CopyRequest } from "../entry/copyRequest.ts"
import * as EntryCopy from "../entry/entryCopy.ts"
import * as FolderCopy from "../entry/folderCopy.ts"
import * as NameSpelling from "../entry/nameSpelling.ts"
import { openPlace, openSource } from "../entry/sourcePlace.ts"
import * as WholeCopy from "../entry/wholeCopy.ts"
import { type Others, QuickFiles, type Where } from "../files/quickFiles.ts"
import { FolderTimes } from "../move/folderTimes.ts"
import * as MovedSource from "../move/movedSource.ts"
import * as Place from "../path/place.ts"
import { namesIn } from "../path/subfolders.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import { isNewer, keepAttributes, keepOfLink } from "../steps/attributes.ts"
import * as Conflict from "../steps/conflict.ts"
import { CopyError, Reason } from "../steps/copyError.ts"
import { isUnflushed, prepare } from "../steps/durability.ts"
import { refuseShortened, temporaryName } from "../steps/filePlacement.ts"
import { leftOut } from "../steps/folderFilter.ts"
import * as HardLinks from "../steps/linkedCopies.ts"
import * as MadeFolders from "../steps/madeFolders.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import { onSource } from "../steps/sideErrors.ts"
import type { Unit } from "../steps/unit.ts"
import { ProtectedFiles } from "../work/protectedFiles.ts"
import { share } from "../work/sharedWork.ts"
import { CopyEntry, CopyUnit, EntryCopied, EntryFailed } from "./copyTask.ts"
import * as CopyUnitLive from "./copyUnitLive.ts"
import { type Failure, tell } from "./entryFailure.ts"
import * as TouchedFolders from "./touchedFolders.ts"
import { copyUnit, type Perform } from "./unitSteps.ts"

/** The task as handlers are given for it. */
export class Tasks extends RpcGroup.make(CopyEntry) {}

type Payload = Task.Payload<typeof CopyEntry>

/** What a task works on: its source, and the folder that the copy goes into. */
interface Work {
  readonly conflict: Conflict.Mode
  /** Whether the destination may take its name for that of another source. */
  readonly isWary: boolean
  readonly source: Conflict.Source
  readonly target: Place.Place
}

/** Looks at the target, or takes it for free: then what is there after all is `Occupied`. */
const plan = Effect.fnUntraced(function*({ conflict, source, target }: Work, isFree: boolean) {
  const decision = yield* Conflict.resolve(conflict, source, isFree ? Place.path(target) : target)
  const writes = decision._tag === "Create" || decision._tag === "RenameTo"
  // These could take their own work for somebody else's.
  const meetsItself = conflict === "skip" || conflict === "rename" || conflict === "error"
  if (writes && meetsItself) yield* SavedCopy.commit({ decision })
  return decision
})

/** Copies what is to be copied; a folder without what is in it. */
const perform = Effect.fnUntraced(function*(work: Work, decision: Conflict.Decision) {
  const { source: { stat }, target } = work
  const path = Place.path(target)
  switch (decision._tag) {
    case "Unchanged": {
      const options = yield* CopyOptions
      const isLeft = !HardLinks.mayHaveOthers(stat, options) || (yield* HardLinks.isLinked(stat, target, options))
      // Another name of the same source is a file of its own there.
      if (!isLeft) return yield* write(work, target, "replace")
      yield* keepAgain(work)
      // What could not be flushed may be lost, and a second time nobody would be told.
      const isLost = options.isDurable &&
        (yield* Effect.catchIf(Effect.as(flush(target), false), isUnflushed, () => Effect.succeed(true)))
      if (isLost) return yield* write(work, target, "replace")
      return EntryCopied.cases.Unchanged.make(yield* checksumsOf(target))
    }
    case "Merge":
      yield* refuseShortened(target)
      yield* (yield* FolderTimes).note(Place.path(work.source.place), stat)
      yield* (yield* prepare(target.folder)).names
      return EntryCopied.cases.FolderMade.make({})
    case "Skip":
      return yield* Task.skip(Conflict.why(decision))
    case "Refuse": {
      const why = `${FilePath.display(path)}: ${Conflict.why(decision)}`
      return yield* new EntryFailed({ code: "Refused", path, why })
    }
    default:
      // What was not there when it was decided is never replaced; whoever has put it there did not ask for that. In the
      // mode that replaces anything, a store is not asked for a condition: some refuse that.
      return yield* write(
        work,
        { ...target, name: Conflict.placeOf(decision, target.name) },
        decision._tag === "Replace" || (work.conflict === "overwrite" && FilePath.isAddress(path))
          ? "replace"
          : "exclusive"
      )
  }
})

/** Gives a copy of the same content what its source has got beside that since it was made. */
const keepAgain = Effect.fnUntraced(function*({ source: { place, stat }, target }: Work) {
  const there = yield* Place.lstat(target)
  if (FilePath.isAddress(place.folder.path) || FilePath.isAddress(target.folder.path) || !isNewer(stat, there)) return
  const options = yield* CopyOptions
  yield* Lease.check
  const lost = stat.kind === "link"
    ? yield* keepOfLink(place, target, stat, options)
    : yield* keepAttributes(yield* Place.openFile(target), onSource(Place.openFile(place)), stat, options, there.mode)
  yield* countLost(lost)
}, Effect.scoped)

/** What is there may be what a run before this one has copied, and not flushed. */
const flush = Effect.fnUntraced(function*(target: Place.Place) {
  const { earlier } = yield* prepare(target.folder)
  const { kind } = yield* Place.lstat(target)
  yield* earlier(kind === "file" ? [yield* Place.openFile(target)] : [])
}, Effect.scoped)

/** Has the copy written to a place, or moves the source there. */
const write = Effect.fnUntraced(function*(
  { isWary, source: { place, stat } }: Work,
  target: Place.Place,
  placing: CopyRequest["placing"]
) {
  if (placing === "replace") yield* refuseShortened(target)
  const options = yield* CopyOptions
  const lease = yield* Lease.Lease
  const request: CopyRequest = {
    source: place,
    stat,
    target,
    placing,
    options,
    // Most copies have no use for that name, and the first one takes long.
    get temporary() {
      return temporaryName(lease, Place.path(target))
    }
  }
  yield* TouchedFolders.add(Place.path(place), target)
  const isMoved = options.isMove && stat.kind !== "folder"
  if (stat.kind === "folder") yield* (yield* FolderTimes).note(Place.path(place), stat)
  const renamed = isMoved ? yield* MovedSource.rename(request) : undefined
  if (renamed !== undefined) {
    yield* countWay(renamed)
    return EntryCopied.cases.Moved.make({ ...resultOf(renamed), ...yield* checksumsOf(target) })
  }
  const copied: Copied = yield* HardLinks.mayHaveOthers(stat, options)
    ? HardLinks.copy(request, EntryCopy.copy(request))
    : EntryCopy.copy(request)
  if (isWary) yield* NameSpelling.takeBack(request)
  yield* countLost(copied.lost)
  yield* countWay(copied)
  // Another name of a copy has no content of its own.
  const checksums = stat.kind === "file" ? yield* checksumsOf(target, copied.digest) : {}
  if (isMoved) {
    yield* MovedSource.removeCopied(place, stat, target, copied)
    return EntryCopied.cases.Moved.make({ ...resultOf(copied), ...checksums })
  }
  if (stat.kind === "folder") return EntryCopied.cases.FolderMade.make({})
  if (stat.kind === "link") return EntryCopied.cases.Linked.make({})
  return EntryCopied.cases.Copied.make({ ...resultOf(copied), ...checksums })
})

const resultOf = ({ sizeBytes, strategy }: Copied) => ({ strategy, sizeBytes })

const countLost = (lost: ReadonlyArray<Lost>): Effect.Effect<void> =>
  Effect.forEach(lost, (property) => Progress.add(lostUnits[property], 1), { discard: true })

const countWay = ({ strategy }: Copied): Effect.Effect<void> => {
  const unit = strategyUnits.get(strategy)
  return unit === undefined ? Effect.void : Progress.add(unit, 1)
}

/** How often a name may be taken by others between the decision and the copy. */
const maxDecisions = 16

/** Whether an attempt before this one may have made what is there: then it is `Unchanged`. */
const resolveOwn = Effect.fnUntraced(function*({ place, stat }: Conflict.Source, there: Place.Place) {
  const { isMove, keeps } = yield* CopyOptions
  const found = yield* Place.find(there)
  // Where times are not kept the copy has none that would tell.
  const { modifiedNanos } = keeps.has("times") ? stat : Option.getOrElse(found, () => stat)
  const decision = yield* Conflict.resolve("changed", { place, stat: { ...stat, modifiedNanos } }, there)
  if (decision._tag !== "Unchanged" || (keeps.has("times") && !isMove)) return decision
  return (yield* MovedSource.isSameContent(place, there, stat.kind))
    ? decision
    : Conflict.Decision.cases.Replace.make({})
})

/** A listing of keys tells too late which of them are twins. */
const isDownload = (source: FilePath.FilePath, target: FilePath.FilePath): boolean =>
  FilePath.isAddress(source) && !FilePath.isAddress(target)

const copyOne = Effect.fnUntraced(function*({ conflict, kind, source, target }: Payload, isWary: boolean) {
  const { isFollowing, isMove } = yield* CopyOptions
  if (isMove && (yield* MovedSource.isMoved(source))) return yield* movedBefore(source, target)
  const place = yield* openSource(source)
  const stat = yield* Place.lstat(place)
  if (stat.kind === "folder" && kind !== "folder") {
    if (!isFollowing) return EntryCopied.cases.FolderFound.make({})
    // It may lead back to a folder around it, which only a walk sees.
    return yield* new CopyError({ reason: Reason.cases.KindChanged.make({ path: source }) })
  }
  const work: Work = { conflict, isWary, source: { place, stat }, target: yield* Place.open(target) }
  const { decision: earlier } = yield* SavedCopy.get
  const { name } = work.target
  const there = { ...work.target, name: earlier === undefined ? name : Conflict.placeOf(earlier, name) }
  // In another spelling it may be another source's, or what was moved there before and is nowhere else any more.
  const mayBeOther = isWary || isMove || isDownload(source, target)
  const findOther = Effect.gen(function*() {
    const other = mayBeOther ? yield* NameSpelling.otherAt(there) : undefined
    if (other === undefined || (conflict === "rename" && stat.kind !== "folder")) return other
    return yield* conflict === "skip" && stat.kind !== "folder"
      ? Task.skip(SkipReason.Exists)
      : Effect.fail(NameSpelling.taken(place, other))
  })
  const planAndPerform = (isFree: boolean) => {
    const both = Effect.gen(function*() {
      const decision = yield* plan(work, isFree)
      // What was found may have come since its spelling was looked at.
      if (decision._tag === "Replace" || decision._tag === "Unchanged") yield* findOther
      return yield* perform(work, decision)
    })
    // Of two links that lead to what is in each other's way, the second is to meet the first in its place.
    return stat.kind === "link" && !isFree ? HardLinks.inTurn("links", both) : both
  }
  // Others may take a name between the decision and the copy; then it is decided again, by what has the name by then.
  const decideAgain = Effect.retry(Effect.andThen(findOther, planAndPerform(false)), {
    times: maxDecisions,
    while: isOccupied
  })
  const decideAndCopy = Effect.catchIf(planAndPerform(false), isOccupied, () => decideAgain)
  if ((yield* findOther) !== undefined) return yield* decideAndCopy
  if (earlier === undefined) {
    // For a large file it is worth a look: what it was taken for only shows once all of it is written.
    const isFree = stat.sizeBytes <= WholeCopy.maxSizeBytes && (yield* MadeFolders.has(work.target.folder.path))
    if (!isFree) return yield* decideAndCopy
    return yield* Effect.catchIf(planAndPerform(true), isOccupied, () => decideAgain)
  }
  // What is there now is what an attempt before this one has copied, or somebody else's.
  const goOn = Effect.gen(function*() {
    const found = yield* resolveOwn(work.source, there)
    if (found._tag !== "Unchanged") return yield* decideAndCopy
    // It is recorded like one that was there before: as one of several names, and once it is on the device.
    const left = yield* perform({ ...work, target: there }, found)
    if (!isMove) {
      const checksums = "checksums" in left ? { checksums: left.checksums } : {}
      return stat.kind === "link"
        ? EntryCopied.cases.Linked.make({})
        : EntryCopied.cases.Copied.make({ strategy: "before", sizeBytes: stat.sizeBytes, ...checksums })
    }
    yield* MovedSource.removeCopied(place, stat, there, { sizeBytes: stat.sizeBytes })
    return yield* movedBefore(source, target)
  })
  if (earlier._tag !== "Replace" && Option.isSome(yield* Place.find(there))) return yield* goOn
  return yield* Effect.catchIf(perform(work, earlier), isOccupied, () => goOn)
}, Effect.scoped)

/** What a run before this one has moved is at its target, by the name that was decided on. */
const movedBefore = Effect.fnUntraced(function*(source: FilePath.FilePath, target: FilePath.FilePath) {
  const { decision } = yield* SavedCopy.get
  const place = yield* Place.open(decision === undefined ? target : Conflict.placeOf(decision, target))
  // It may have been the last that was left in its folder.
  yield* TouchedFolders.add(source, place)
  return EntryCopied.cases.Moved.make({ strategy: "before", sizeBytes: 0, ...yield* checksumsOf(place) })
})

const isOccupied = (error: unknown): boolean => error instanceof CopyError && error.reason._tag === "Occupied"

/** Gives a folder its mode and times, once nothing is written in it any more. */
const endFolder = Effect.fnUntraced(function*({ source, target }: Payload) {
  const { job, token } = yield* Lease.Lease
  const place = yield* Place.open(target)
  // Owners before this one may have left temporary files here.
  if (token > 1 && Option.isSome(job)) {
    yield* TemporaryName.sweep({ folder: yield* Place.openFolder(place), job: job.value, before: token })
  }
  const options = yield* CopyOptions
  const times = yield* FolderTimes
  let isOpen = false
  const finish = Effect.gen(function*() {
    const from = yield* openSource(source)
    isOpen = yield* TouchedFolders.staysOpen(from)
    yield* countLost(yield* FolderCopy.finish(from, place, options, times.find(source)))
    if (options.isMove) yield* MovedSource.removeFolder(from)
  })
  // A run before this one has removed it, once it had given on what it had.
  yield* Effect.catchReason(
    finish,
    "CopyError",
    "Vanished",
    (_, error) => options.isMove ? Effect.void : Effect.fail(error)
  )
  yield* TouchedFolders.end(source, place, options.keeps.has("times") ? times.find(source) : undefined, isOpen)
  times.forget(source)
  yield* MadeFolders.remove(target)
  return EntryCopied.cases.FolderEnded.make({})
}, Effect.scoped)

type Ending<E> = Effect.Effect<typeof EntryCopied.Type, E | EntryFailed | Interrupted | Task.Skipped, Files.Files>

/** What could not be flushed is done once more, and not only flushed again: nobody knows what is on the device then. */
const copyOrFail = (payload: Payload): Ending<Failure> => {
  const copy: Ending<Failure> = payload.kind === "folderEnd"
    ? endFolder(payload)
    : payload.kind === "list"
    ? listFolder(payload)
    : payload.mayFold === true
    // Of several that may be one, each meets what those before it have come to.
    ? HardLinks.inTurn(`names in ${FilePath.parent(payload.target)}`, copyOne(payload, true))
    : copyOne(payload, false)
  return Effect.catchIf(copy, isUnflushed, () => copy)
}

/** Copies one entry, or lists a folder. */
export const copyAlone = (payload: Payload): Ending<never> =>
  Effect.catchTag(
    copyOrFail(payload),
    ["CopyError", "FilesError", "NoFreeName", "JobStoreError"],
    (failure): Ending<never> => tell(failure, payload)
  )

/** So much is copied until others may have the rest, and no more than the bandwidth has for a tenth of a second. */
const mostBytes = 2 ** 24

/** What small files have, or less: so much is asked for before they are copied. */
const likelyBytes = 2 ** 16

/** Lists a folder that could not be copied with all in it. */
const listFolder = Effect.fnUntraced(function*({ below = FilePath.empty, source }: Payload) {
  const { isFollowing, isMove, rules } = yield* CopyOptions
  const { job } = yield* Lease.Lease
  const folder = yield* Place.openFolder(yield* openPlace(source, isFollowing))
  const { folders, others } = yield* namesIn(folder)
  const isLeftOut = leftOut(rules, below)
  // What a run before this one has put aside is no source.
  const isOwn = (name: FilePath.FilePath): boolean =>
    isMove && Option.exists(job, (job) => TemporaryName.isOf(job, name))
  return EntryCopied.cases.Listed.make({
    names: others.filter((name) => !isOwn(name) && !isLeftOut(name, false)),
    folders: folders.filter((name) => !isOwn(name) && !isLeftOut(name, true))
  })
}, Effect.scoped)

/** What a unit is, by what is known of it here. */
const unitOf = Effect.fnUntraced(function*(
  { below = FilePath.empty, conflict, kind, names = [], sizes = [], source, target }: Payload
) {
  const { found } = yield* ProtectedFiles
  const options = yield* CopyOptions
  const { checksums, isDurable, isFollowing, isMove, isVerified, keeps, rules } = options
  const lease = yield* Lease.Lease
  const unit: Unit = {
    source,
    target,
    names,
    areFolders: kind === "folders",
    size: Math.max(names.length, Num.sumAll(sizes)),
    sizes,
    // A path with a slash at its end is no file's.
    draft: temporaryName(lease, FilePath.make(`${FilePath.join(target, names[0] ?? FilePath.empty)}/`)),
    conflict,
    isAgain: lease.token > 1,
    isFree: yield* MadeFolders.has(target),
    keeps: Array.from(keeps),
    avoid: found.map(({ device, inode }) => ({ device, inode })),
    rules,
    below,
    isFollowing,
    isMove,
    waits: isDurable || isVerified || SavedCopy.isKeptFirst(conflict, options),
    isVerified,
    mostBytes: yield* TaskDispatcher.pieceBytes(mostBytes),
    ...checksums === undefined ? {} : { checksums }
  }
  return unit
})

const stuck = (source: FilePath.FilePath, { aside }: SavedCopy.Moved) => {
  const path = FilePath.join(source, aside)
  const why = `What is in "${FilePath.display(path)}" is to be removed or gets its name again, and neither can be now`
  return new EntryFailed({ code: "Aside", path, why })
}

/** Tells a retry that something was taken out of the folder of a unit. */
const touch = ({ names: [name = FilePath.empty], source, target }: Unit) =>
  Place.open(FilePath.join(target, name)).pipe(
    Effect.flatMap((place) => TouchedFolders.add(FilePath.join(source, name), place)),
    Effect.scoped,
    Effect.ignore
  )

/** Has a unit copied, at the rate that there is. */
const copyMany = <E, R>(entry: Payload, perform: Perform<E, R>) =>
  Effect.gen(function*() {
    const unit = yield* unitOf(entry)
    // All that are copied at the same time ask before: together they would begin with seconds of a rate. What is moved
    // may only get another name.
    const asked = unit.isMove ? 0 : Math.min(unit.mostBytes, unit.size * likelyBytes)
    yield* TaskDispatcher.throttle(asked)
    const copied = yield* copyUnit(unit, perform)
    if (copied.stuck !== undefined && entry.isStuck === true) return yield* stuck(unit.source, copied.stuck)
    // In a retry nobody else removes the folders that it was the last in.
    if (entry.isStuck === true) yield* touch(unit)
    yield* TaskDispatcher.throttle(copied.bytes - asked)
    return EntryCopied.cases.Files.make(copied)
  })

const areMany = ({ kind }: Payload): boolean => kind === "files" || kind === "folders"

/** Layer that handles the task in this process. */
export const layer: Layer.Layer<Task.Handler<typeof CopyEntry>, never, Files.Files> = Tasks.toLayer({
  "@fanout/ops/CopyEntry": (payload) => areMany(payload) ? copyMany(payload, CopyUnitLive.perform) : copyAlone(payload)
})

/**
 * Layer that makes its calls at once where that is quick, at these real paths and below, and has others copy units once
 * there are many. They are started only when there is something for them.
 */
export const layerShared = <E>(
  others: Others<typeof CopyUnit, E>,
  { paths, startsAfter }: Where
): Layer.Layer<Task.Handler<typeof CopyEntry>, never, Files.Files> =>
  Tasks.toLayer(Effect.gen(function*() {
    const files = yield* Files.Files
    const quick = yield* (yield* QuickFiles).throughout(paths)
    const quickOrAny = Option.getOrElse(quick, () => files)
    const shared = yield* share(CopyUnit, { alone: others, beside: others }, { quick, startsAfter })
    const perform = (payload: Task.Payload<typeof CopyUnit>) =>
      shared({ key: payload.unit, payload, files: payload.unit.size, work: () => CopyUnitLive.perform(payload) })
    const copyQuickly = (payload: Payload) =>
      Effect.flatMap(CopyOptions, ({ isFollowing }) =>
        // Links may lead to anywhere, and calls take any time there.
        Effect.provideService(copyAlone(payload), Files.Files, isFollowing ? files : quickOrAny))
    return {
      "@fanout/ops/CopyEntry": (payload: Payload) =>
        areMany(payload)
          ? Effect.provideService(copyMany(payload, perform), Files.Files, quickOrAny)
          : copyQuickly(payload)
    }
  }))
