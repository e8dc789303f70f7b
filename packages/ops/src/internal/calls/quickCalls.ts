/**
 * Makes system calls at once for as long as they are quick, and hands them on otherwise.
 */
import type * as Option from "effect/Option"
import type * as Files from "../../Files.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

/** One call that takes longer is the sign that others will, unless other work had the processors. */
const slowMillis = 20
/** Folders are many calls, which end some time after they are asked to. */
const slowFoldersMillis = 100
/** As long no call is made at once after the first slow one, and twice as long after each that follows. */
const pauseMillis = { first: 200, most: 60_000 }
/** Calls that were quick for so many times the last pause are like those before the first slow one. */
const pausesUntilForgotten = 10
/** As old what is known of the thread's waiting for a processor may be when a call is made. */
const freshMillis = 50
/** As long calls are made one after the other; then others have the thread. */
const sliceMillis = 8

/** Larger pieces of content take so long that a thread of the pool is worth its while. */
const largestBytes = 2 ** 19

/** Decides for each call whether to wait for it. */
class Judge {
  private readonly now: () => number
  private readonly runDelay: () => number
  private known = { at: Number.NEGATIVE_INFINITY, delayMillis: 0 }
  private notBefore = 0
  private pauseMillis = pauseMillis.first
  /** When the first call was made in this turn of the event loop; nothing before there was one. */
  private sliceFrom: number | undefined
  private waiting: Array<() => void> = []

  constructor(now: () => number, runDelay: () => number) {
    this.now = now
    this.runDelay = runDelay
  }

  /** Milliseconds that the thread has waited for a processor since this was asked before. */
  private waited(at: number): number {
    const { delayMillis } = this.known
    this.known = { at, delayMillis: this.runDelay() }
    return this.known.delayMillis - delayMillis
  }

  private noteSlow(ended: number): void {
    const quickMillis = ended - this.notBefore
    if (quickMillis > pausesUntilForgotten * this.pauseMillis) this.pauseMillis = pauseMillis.first
    this.notBefore = ended + this.pauseMillis
    this.pauseMillis = Math.min(this.pauseMillis * 2, pauseMillis.most)
  }

  /** Lets those go on that wait for the next turn. Together they have no longer than one would have. */
  private readonly turn = (): void => {
    const { waiting } = this
    this.waiting = []
    this.sliceFrom = undefined
    for (const goOn of waiting) goOn()
  }

  /** Whether calls are handed on for longer than after a single slow one. */
  readonly isSlow = (): boolean => this.pauseMillis > 2 * pauseMillis.first && this.now() < this.notBefore

  /** Makes a call one way or the other, and sees how long it takes: so many milliseconds are slow. */
  make<A>(
    atOnce: (done: Done<A>) => void,
    later: (done: Done<A>) => void,
    done: Done<A>,
    slowAfter = slowMillis
  ): void {
    const started = this.now()
    if (started < this.notBefore) return later(done)
    if (this.sliceFrom === undefined) {
      this.sliceFrom = started
      setImmediate(this.turn)
      if (started - this.known.at > freshMillis) this.waited(started)
    } else if (started - this.sliceFrom > sliceMillis) {
      this.waiting.push(() => this.make(atOnce, later, done, slowAfter))
      return
    }
    atOnce((code, value) => {
      const ended = this.now()
      const millis = ended - started
      if (millis > slowAfter && millis - this.waited(ended) > slowAfter) this.noteSlow(ended)
      done(code, value)
    })
  }
}

/** Both ways of making each call. */
interface Ways {
  readonly atOnce: SystemCalls
  readonly later: SystemCalls
}

/** Calls that are made at once while they are quick. */
export interface QuickCalls {
  /**
   * Names are removed and open folders listed at once. What may meet another file system, which may be one that never
   * answers, is handed on: whatever opens a folder or looks at one. So are calls for content, which may take any time.
   */
  readonly here: SystemCalls
  /** For where there is no other file system to be met: all is done at once but for large pieces of content. */
  readonly throughout: SystemCalls
  /** Whether calls are handed on for now, since more than one was slow. */
  readonly isSlow: () => boolean
}

/** What is many calls: where calls are slow these are made one by one. */
const many = (
  { comparePlain, copyFolders, copyPlain, measure, placeFolders, sweepTree }: SystemCalls,
  judge: Judge
): Pick<SystemCalls, "comparePlain" | "copyFolders" | "copyPlain" | "measure" | "placeFolders" | "sweepTree"> => ({
  ...sweepTree === undefined ? {} : {
    sweepTree: (tree, done) =>
      judge.make<boolean | undefined>(
        (done) => sweepTree(tree, done),
        (done) => done(undefined, undefined),
        done,
        slowFoldersMillis
      )
  },
  ...comparePlain === undefined ? {} : {
    comparePlain: (pair, done) =>
      judge.make<void>(
        (done) => comparePlain(pair, done),
        (done) => {
          pair.comparer.leave()
          done(undefined, undefined)
        },
        done
      )
  },
  ...copyPlain === undefined ? {} : {
    copyPlain: (copy, done) => judge.make((done) => copyPlain(copy, done), (done) => done(undefined, false), done)
  },
  ...copyFolders === undefined ? {} : {
    copyFolders: (request, done) =>
      judge.make<Files.FoldersCopied | undefined>(
        (done) => copyFolders(request, done),
        (done) => done(undefined, undefined),
        done,
        slowFoldersMillis
      )
  },
  ...placeFolders === undefined ? {} : {
    placeFolders: (request, done) => {
      // To fill them again would take longer by far.
      const place = (done: Done<Files.PlacedFolders | undefined>) => placeFolders(request, done)
      judge.make(place, place, done, slowFoldersMillis)
    }
  },
  ...measure === undefined ? {} : {
    measure: (path, measuring, done) =>
      judge.make<Option.Option<Files.FolderSize> | undefined>(
        (done) => measure(path, measuring, done),
        (done) => done(undefined, undefined),
        done,
        slowFoldersMillis
      )
  }
})

/** Makes a call one way or the other, by what it is given but the last. */
type Either = <A>(call: (calls: SystemCalls, done: Done<A>) => void, done: Done<A>) => void

/** Small pieces of content. */
const forContent = (later: SystemCalls, either: Either) =>
  ({
    read: (descriptor, buffer, at, done) =>
      buffer.length > largestBytes
        ? later.read(descriptor, buffer, at, done)
        : either((calls, done) => calls.read(descriptor, buffer, at, done), done),
    readSmall: (folder, name, reader, done) =>
      either((calls, done) => calls.readSmall(folder, name, reader, done), done),
    write: (descriptor, bytes, at, done) =>
      bytes.length > largestBytes
        ? later.write(descriptor, bytes, at, done)
        : either((calls, done) => calls.write(descriptor, bytes, at, done), done),
    readAnew: (descriptor, done) => either<void>((calls, done) => calls.readAnew(descriptor, done), done),
    seek: (descriptor, at, to, done) => either((calls, done) => calls.seek(descriptor, at, to, done), done)
  }) satisfies Partial<SystemCalls>

/**
 * Makes them. `now` tells milliseconds, and `runDelay` how many of them this thread was ready to run while others did.
 */
export const make = ({ atOnce, later }: Ways, now: () => number, runDelay: () => number): QuickCalls => {
  const judge = new Judge(now, runDelay)
  const either: Either = (call, done) => judge.make((done) => call(atOnce, done), (done) => call(later, done), done)
  const here: SystemCalls = {
    ...later,
    close: (descriptor, done) => either<void>((calls, done) => calls.close(descriptor, done), done),
    list: (descriptor, add, done, skips) => either((calls, done) => calls.list(descriptor, add, done, skips), done),
    unlink: (folder, name, done) => either<void>((calls, done) => calls.unlink(folder, name, done), done),
    unlinkEach: (folder, names, take, done) =>
      either<void>((calls, done) => calls.unlinkEach(folder, names, take, done), done),
    removeFolder: (folder, name, done) => either<void>((calls, done) => calls.removeFolder(folder, name, done), done)
  }
  return {
    isSlow: judge.isSlow,
    here,
    throughout: {
      ...here,
      ...many(atOnce, judge),
      ...forContent(later, either),
      open: (folder, name, mode, done) => either((calls, done) => calls.open(folder, name, mode, done), done),
      openPath: (path, mode, done) => either((calls, done) => calls.openPath(path, mode, done), done),
      stat: (descriptor, done) => either((calls, done) => calls.stat(descriptor, done), done),
      identity: (descriptor, done) => either((calls, done) => calls.identity(descriptor, done), done),
      lstat: (folder, name, done) => either((calls, done) => calls.lstat(folder, name, done), done),
      fileSystem: (descriptor, done) => either((calls, done) => calls.fileSystem(descriptor, done), done),
      readLink: (folder, name, done) => either((calls, done) => calls.readLink(folder, name, done), done),
      listAttributes: (descriptor, done) => either((calls, done) => calls.listAttributes(descriptor, done), done),
      getAttribute: (descriptor, name, done) =>
        either((calls, done) => calls.getAttribute(descriptor, name, done), done),
      setAttribute: (descriptor, name, value, done) =>
        either<void>((calls, done) => calls.setAttribute(descriptor, name, value, done), done),
      listAttributesAt: (folder, of, done) => either((calls, done) => calls.listAttributesAt(folder, of, done), done),
      getAttributeAt: (folder, of, name, done) =>
        either((calls, done) => calls.getAttributeAt(folder, of, name, done), done),
      setAttributeAt: (folder, of, name, value, done) =>
        either<void>((calls, done) => calls.setAttributeAt(folder, of, name, value, done), done),
      setOwner: (descriptor, owner, group, done) =>
        either<void>((calls, done) => calls.setOwner(descriptor, owner, group, done), done),
      setOwnerAt: (folder, name, owner, group, done) =>
        either<void>((calls, done) => calls.setOwnerAt(folder, name, owner, group, done), done),
      setMode: (descriptor, mode, done) => either<void>((calls, done) => calls.setMode(descriptor, mode, done), done),
      setTimes: (descriptor, times, done) =>
        either<void>((calls, done) => calls.setTimes(descriptor, times, done), done),
      setTimesAt: (folder, name, times, done) =>
        either<void>((calls, done) => calls.setTimesAt(folder, name, times, done), done),
      makeFolder: (at, name, mode, done) => either<void>((calls, done) => calls.makeFolder(at, name, mode, done), done),
      makeLink: (target, folder, name, done) =>
        either<void>((calls, done) => calls.makeLink(target, folder, name, done), done),
      rename: (folder, from, into, to, done) =>
        either<void>((calls, done) => calls.rename(folder, from, into, to, done), done),
      renameExclusively: (folder, from, into, to, done) =>
        either<void>((calls, done) => calls.renameExclusively(folder, from, into, to, done), done),
      link: (folder, existing, to, name, done) =>
        either<void>((calls, done) => calls.link(folder, existing, to, name, done), done),
      linkUnnamed: (descriptor, folder, name, done) =>
        either<void>((calls, done) => calls.linkUnnamed(descriptor, folder, name, done), done)
    }
  }
}
