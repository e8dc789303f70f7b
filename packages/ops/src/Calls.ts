/**
 * The single calls to a file system, by descriptors and names: all that differs between the C library, `node:fs`, and
 * a file system of your own, from which `SystemFiles.of` makes `Files`.
 *
 * A call is described before it is made. Whoever may wait makes it `now`; whoever may not has it made `later`. In a
 * generator that yields calls, `yield*` gives what one came to.
 */
import type { FilePath } from "./FilePath.ts"
import type * as Files from "./Files.ts"
import type { Call as Name } from "./FilesError.ts"
import type { EntryKind } from "./FolderListing.ts"

/**
 * Name of the error that a call has failed with, such as `ENOENT`. There is one object for each name.
 *
 * @category models
 */
export class Code {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

const codes = new Map<string, Code>()

/**
 * Gives the code of a name.
 *
 * @category constructors
 */
export const code = (name: string): Code => {
  const known = codes.get(name)
  if (known !== undefined) return known
  const made = new Code(name)
  codes.set(name, made)
  return made
}

/**
 * What a call came to: a value, or the code of an error.
 *
 * @category models
 */
export type Answer<A> = A | Code

/**
 * Checks whether a call has failed.
 *
 * @category predicates
 */
export const isCode = (answer: unknown): answer is Code => answer instanceof Code

/**
 * The call that work could not do without, and the code of its error.
 *
 * @category models
 */
export class Failed {
  readonly call: Name
  readonly code: Code

  constructor(call: Name, code: Code) {
    this.call = call
    this.code = code
  }
}

/**
 * Checks whether work has failed.
 *
 * @category predicates
 */
export const isFailed = (ended: unknown): ended is Failed => ended instanceof Failed

/**
 * Call that is not made yet. It is made once.
 *
 * @category models
 */
export interface Call<A> {
  /** Makes it, and waits for it. */
  readonly now: () => Answer<A>
  /** Has others make it, and hands on the answer after this has returned. */
  readonly later: (done: (answer: Answer<A>) => void) => void
  /** Yields the call, and gives what it came to. */
  readonly [Symbol.iterator]: () => Generator<Call<unknown>, Answer<A>, unknown>
}

/**
 * Work of many calls: a generator that yields each of them, is given its answer, and returns what the work comes to.
 *
 * @category models
 */
export type Work<A> = Generator<Call<unknown>, A, unknown>

/**
 * Yields a call, and gives what it came to.
 *
 * @category constructors
 */
export function* asked<A>(call: Call<A>): Generator<Call<unknown>, Answer<A>, unknown> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a generator has one type for all answers
  return (yield call) as Answer<A>
}

class Made<A> implements Call<A> {
  readonly now: Call<A>["now"]
  readonly later: Call<A>["later"]

  constructor(now: Call<A>["now"], later: Call<A>["later"]) {
    this.now = now
    this.later = later
  }

  [Symbol.iterator]() {
    return asked<A>(this)
  }
}

/**
 * Call that is made in one of two ways.
 *
 * @category constructors
 */
export const make = <A>(now: Call<A>["now"], later: Call<A>["later"]): Call<A> => new Made(now, later)

/**
 * Call that is over in no time.
 *
 * @category constructors
 */
export const immediate = <A>(now: () => Answer<A>): Call<A> => make(now, (done) => void setImmediate(() => done(now())))

/**
 * Call that fails.
 *
 * @category constructors
 */
export const failed = (code: Code): Call<never> => immediate<never>(() => code)

/**
 * Call of another one after the first, by what that gave.
 *
 * @category constructors
 */
export const andThen = <A, B>(call: Call<A>, next: (value: A) => Call<B>): Call<B> =>
  make(
    () => {
      const answer = call.now()
      return isCode(answer) ? answer : next(answer).now()
    },
    (done) => call.later((answer) => isCode(answer) ? done(answer) : next(answer).later(done))
  )

/**
 * Call of another one where the first fails.
 *
 * @category constructors
 */
export const orElse = <A>(call: Call<A>, next: (code: Code) => Call<A>): Call<A> =>
  make(
    () => {
      const answer = call.now()
      return isCode(answer) ? next(answer).now() : answer
    },
    (done) => call.later((answer) => isCode(answer) ? next(answer).later(done) : done(answer))
  )

/**
 * Call whose value is made something else of.
 *
 * @category constructors
 */
export const map = <A, B>(call: Call<A>, f: (value: A) => Answer<B>): Call<B> =>
  make(
    () => {
      const answer = call.now()
      return isCode(answer) ? answer : f(answer)
    },
    (done) => call.later((answer) => done(isCode(answer) ? answer : f(answer)))
  )

/**
 * Code of what a file system, or the way to call it, does not have.
 *
 * @category constructors
 */
export const unsupported: Code = code("ENOTSUP")

/**
 * What a descriptor is to be used for; none of them follows a link in the last component.
 *
 * - `folder`: only as the place of names; no right to list it is needed.
 * - `list`: to list a folder.
 * - `read`: to read a file, or to set the mode and times of anything. Does not wait for the writer of a FIFO.
 * - `create`: to write and read a new file that only its owner may use.
 * - `update`: to write on in a file that is there, and to read it. Waits for nobody.
 * - `unnamed`: to write and read a file without a name in the folder whose name is given.
 *
 * @category models
 */
export type Mode = "folder" | "list" | "read" | "create" | "update" | "unnamed"

/**
 * The calls. Folders are descriptors, and names are one component.
 *
 * @category models
 */
export interface Calls {
  /** What is at a path; with `follows` what links from there lead to. Links above it are followed. */
  readonly statPath: (path: FilePath, follows: boolean) => Call<Files.FileStat>
  /** The path without links, `.` and `..`, from the root on. */
  readonly realPath: (path: FilePath) => Call<FilePath>

  /** Opens what has the name in the folder. */
  readonly open: (folder: number, name: FilePath, mode: Mode) => Call<number>
  /** Opens what is at an absolute path without a link in it. */
  readonly openPath: (path: FilePath, mode: "folder" | "list" | "read") => Call<number>
  /** Opens a new file that is to have these permissions; that it has them is not sure. */
  readonly createAs: (folder: number, name: FilePath, mode: number) => Call<number>
  readonly close: (descriptor: number) => Call<void>
  /** Closes what was only read: no file system is told, so there is nothing to wait for. */
  readonly closeNow: (descriptor: number) => void

  readonly stat: (descriptor: number) => Call<Files.FileStat>
  /** What tells an open folder from others. */
  readonly identity: (descriptor: number) => Call<Files.Identity>
  readonly lstat: (folder: number, name: FilePath) => Call<Files.FileStat>
  /** Names the file system that a file is on, also once it was mounted anew. Empty where nothing is known to. */
  readonly fileSystem: (descriptor: number) => Call<string>
  /** Whether names in a folder can be made and neither changed nor removed, as far as that can be seen. */
  readonly isAppendOnly: (folder: number) => Call<boolean>
  /** Flags of `chattr` (linux/fs.h, `FS_IOC_GETFLAGS`) of what is not open as `folder`; 0 where nothing has some. */
  readonly flags: (descriptor: number) => Call<number>
  /**
   * Gives the next entries, names with one character for each byte, and inodes to the last 36 bits where they are told;
   * and whether there may be more. Of what is skipped no name is made.
   */
  readonly list: (
    descriptor: number,
    add: (name: string, kind: EntryKind, inode?: number) => void,
    skips?: (kind: EntryKind) => boolean
  ) => Call<boolean>
  readonly readLink: (folder: number, name: FilePath) => Call<FilePath>

  /** Reads at a place, or on from where the descriptor stands. */
  readonly read: (descriptor: number, buffer: Uint8Array, at: number | null) => Call<number>
  /** Writes at a place, or on from where the descriptor stands; less than all where there is no room. */
  readonly write: (descriptor: number, bytes: Uint8Array, at: number | null) => Call<number>
  /**
   * Gives where data begins, not before this place, or where data ends that are there; `ENXIO` where there is none.
   * `read` does not go on from where it stood before.
   */
  readonly seek: (descriptor: number, at: number, to: "data" | "hole") => Call<number>
  /** Copies bytes within the kernel from a place in one file to the same place in another. */
  readonly copyRange: (from: number, to: number, at: number, length: number) => Call<number>
  /** Has a file that is empty share all the blocks of another one. */
  readonly clone: (from: number, to: number) => Call<void>
  readonly truncate: (descriptor: number, sizeBytes: number) => Call<void>
  /** Has what is remembered of a file's content forgotten. */
  readonly forget: (descriptor: number) => Call<void>
  /** The same, and has all of it be read ahead. It takes its time for what is large. */
  readonly readAnew: (descriptor: number) => Call<void>
  readonly sync: (descriptor: number) => Call<void>
  /** Has all be on the device that was written to the file system of something open before. */
  readonly syncFileSystem: (descriptor: number) => Call<void>

  /** Names of extended attributes, with one character for each byte. */
  readonly listAttributes: (descriptor: number) => Call<ReadonlyArray<string>>
  readonly getAttribute: (descriptor: number, name: string) => Call<Uint8Array>
  readonly setAttribute: (descriptor: number, name: string, value: Uint8Array) => Call<void>
  /** The same of what has a name; of the link itself where that is one. */
  readonly listAttributesAt: (folder: number, of: FilePath) => Call<ReadonlyArray<string>>
  readonly getAttributeAt: (folder: number, of: FilePath, name: string) => Call<Uint8Array>
  readonly setAttributeAt: (folder: number, of: FilePath, name: string, value: Uint8Array) => Call<void>
  readonly setOwner: (descriptor: number, owner: Files.Owner) => Call<void>
  readonly setOwnerAt: (folder: number, name: FilePath, owner: Files.Owner) => Call<void>
  readonly setMode: (descriptor: number, mode: number) => Call<void>
  readonly setTimes: (descriptor: number, times: Files.FileTimes) => Call<void>
  readonly setTimesAt: (folder: number, name: FilePath, times: Files.FileTimes) => Call<void>

  readonly makeFolder: (folder: number, name: FilePath, mode: number) => Call<void>
  readonly makeLink: (target: FilePath, folder: number, name: FilePath) => Call<void>
  readonly rename: (folder: number, from: FilePath, into: number, to: FilePath) => Call<void>
  /** Fails where the other name is taken. */
  readonly renameExclusively: (folder: number, from: FilePath, into: number, to: FilePath) => Call<void>
  readonly link: (folder: number, existing: FilePath, to: number, name: FilePath) => Call<void>
  /** Gives a file without a name one. */
  readonly linkUnnamed: (descriptor: number, folder: number, name: FilePath) => Call<void>
  readonly unlink: (folder: number, name: FilePath) => Call<void>
  readonly removeFolder: (folder: number, name: FilePath) => Call<void>

  /** Permissions that new files do not get. */
  readonly denied: () => number
  /** User that new files belong to. */
  readonly user: () => number
}
