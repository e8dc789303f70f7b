/**
 * Files that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { FilesError } from "../../FilesError.ts"
import { failure, Open } from "./opened.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

/** A file or folder that is open to read or write. */
export class File extends Open implements Files.OpenFile {
  get close(): Effect.Effect<void, FilesError> {
    return this.call<void>("close", (calls, descriptor, done) => {
      this.isOpen = false
      calls.close(descriptor, done)
    })
  }

  /** What fails to close here was read, or is given up anyway. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => this.isOpen ? Effect.ignore(this.close) : Effect.void)
  }

  get fileSystem(): Effect.Effect<Option.Option<string>, FilesError> {
    return Effect.map(
      this.call<string>("fstatfs", (calls, descriptor, done) => calls.fileSystem(descriptor, done)),
      (name) => name === "" ? Option.none() : Option.some(name)
    )
  }

  read(buffer: Uint8Array): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, null)
  }

  readAt(buffer: Uint8Array, offset: number): Effect.Effect<number, FilesError> {
    return this.readFrom(buffer, offset)
  }

  private readFrom(buffer: Uint8Array, at: number | null): Effect.Effect<number, FilesError> {
    return this.call<number>("read", (calls, descriptor, done) => calls.read(descriptor, buffer, at, done))
  }

  write(bytes: Uint8Array): Effect.Effect<void, FilesError> {
    return this.writeTo(bytes, null)
  }

  writeAt(bytes: Uint8Array, offset: number): Effect.Effect<void, FilesError> {
    return this.writeTo(bytes, offset)
  }

  private writeTo(bytes: Uint8Array, at: number | null): Effect.Effect<void, FilesError> {
    const written = this.call<number>("write", (calls, descriptor, done) => calls.write(descriptor, bytes, at, done))
    return Effect.flatMap(written, (length) => {
      if (length === bytes.byteLength) return Effect.void
      // A device that takes nothing and names no error would be asked for ever.
      if (length === 0) return Effect.fail(failure("write", this.path, "EIO"))
      return this.writeTo(bytes.subarray(length), at === null ? null : at + length)
    })
  }

  dataFrom(offset: number): Effect.Effect<Option.Option<Files.Stretch>, FilesError> {
    const seek = (at: number, to: "data" | "hole") =>
      this.call<number>("lseek", (calls, descriptor, done) => calls.seek(descriptor, at, to, done))
    return Effect.flatMap(
      seek(offset, "data"),
      (start) => Effect.asSome(Effect.map(seek(start, "hole"), (end) => ({ start, end })))
    ).pipe(
      Effect.catchIf(({ code }) => code === "ENXIO", () => Effect.succeedNone)
    )
  }

  copyFrom(file: Files.OpenFile, offset: number, bytes: number): Effect.Effect<number, FilesError> {
    return this.from<number>(
      "copy_file_range",
      file,
      (calls, from, to, done) => calls.copyRange(from, to, offset, bytes, done)
    )
  }

  cloneFrom(file: Files.OpenFile): Effect.Effect<void, FilesError> {
    return this.from<void>("ficlone", file, (calls, from, to, done) => calls.clone(from, to, done))
  }

  /** Makes a call with another file, which was opened by the same service. */
  private from<A>(
    call: "copy_file_range" | "ficlone",
    file: Files.OpenFile,
    start: (calls: SystemCalls, from: number, to: number, done: Done<A>) => void
  ): Effect.Effect<A, FilesError> {
    if (!(file instanceof File)) return Effect.die(new Error(`"${this.path}" was opened by another service of files`))
    return this.call<A>(call, (calls, to, done) => {
      if (file.isOpen) start(calls, file.descriptor, to, done)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody reads the value beside a code
      else done("EBADF", undefined as A)
    })
  }

  truncate(sizeBytes: number): Effect.Effect<void, FilesError> {
    return this.call<void>("ftruncate", (calls, descriptor, done) => calls.truncate(descriptor, sizeBytes, done))
  }

  get forget(): Effect.Effect<void, FilesError> {
    return this.call<void>("fadvise", (calls, descriptor, done) => calls.forget(descriptor, done))
  }

  get readAnew(): Effect.Effect<void, FilesError> {
    return this.call<void>("fadvise", (calls, descriptor, done) => calls.readAnew(descriptor, done))
  }

  get sync(): Effect.Effect<void, FilesError> {
    return this.call<void>("fsync", (calls, descriptor, done) => calls.sync(descriptor, done))
  }

  get syncFileSystem(): Effect.Effect<void, FilesError> {
    return this.call<void>("syncfs", (calls, descriptor, done) => calls.syncFileSystem(descriptor, done))
  }

  get attributeNames(): Effect.Effect<ReadonlyArray<string>, FilesError> {
    return this.call<ReadonlyArray<string>>(
      "listxattr",
      (calls, descriptor, done) => calls.listAttributes(descriptor, done)
    )
  }

  attribute(name: string): Effect.Effect<Uint8Array, FilesError> {
    return this.call<Uint8Array>("getxattr", (calls, descriptor, done) => calls.getAttribute(descriptor, name, done))
  }

  setAttribute({ name, value }: Files.Attribute): Effect.Effect<void, FilesError> {
    return this.call<void>("setxattr", (calls, descriptor, done) => calls.setAttribute(descriptor, name, value, done))
  }

  setOwner({ group, owner }: Files.Owner): Effect.Effect<void, FilesError> {
    return this.call<void>("fchown", (calls, descriptor, done) => calls.setOwner(descriptor, owner, group, done))
  }

  setMode(mode: number): Effect.Effect<void, FilesError> {
    return this.call<void>("fchmod", (calls, descriptor, done) => calls.setMode(descriptor, mode, done))
  }

  setTimes(times: Files.FileTimes): Effect.Effect<void, FilesError> {
    return this.call<void>("futimes", (calls, descriptor, done) => calls.setTimes(descriptor, times, done))
  }
}

/** Folder that gives names to files without one. */
interface Namer {
  readonly path: FilePath.FilePath
  readonly linkUnnamed: (descriptor: number, name: FilePath.FilePath) => Effect.Effect<void, FilesError>
}

/** A file that has no name yet. */
export class UnnamedFile extends File implements Files.UnnamedFile {
  private readonly folder: Namer

  constructor(calls: SystemCalls, descriptor: number, folder: Namer) {
    super(calls, descriptor, folder.path)
    this.folder = folder
  }

  link(name: FilePath.FilePath): Effect.Effect<void, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? this.folder.linkUnnamed(this.descriptor, name)
        : Effect.fail(failure("link", FilePath.join(this.path, name), "EBADF"))
    )
  }
}
