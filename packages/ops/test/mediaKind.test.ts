import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as MediaKind from "../src/internal/mediaKind.ts"

const bytes = (text: string) => Buffer.from(text, "latin1")

const box = (brand: string, others = "") => `\0\0\0\x20ftyp${brand}\0\0\0\0${others}`

describe("mediaKind", () => {
  it.each(
    [
      ["\xff\xd8\xff\xe0", "JPEG"],
      ["\x89PNG\r\n\x1a\n", "PNG"],
      ["GIF89a", "GIF"],
      ["RIFF\0\0\0\0WEBPVP8 ", "WebP"],
      ["RIFF\0\0\0\0AVI LIST", "AVI"],
      [box("avif"), "AVIF"],
      [box("mif1", "mif1avif"), "AVIF"],
      [box("heic"), "HEIF"],
      [box("isom"), "MP4 or QuickTime"],
      ["\0\0\0\x08wide\0\0\0\0mdat", "MP4 or QuickTime"],
      ["\x1aE\xdf\xa3", "Matroska or WebM"],
      ["MM\0*", "TIFF"],
      ["some bytes before it %PDF-1.4", "PDF"],
      ["<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg>", "SVG"],
      ["  <svg xmlns=", "SVG"],
      [`G${" ".repeat(187)}G${" ".repeat(187)}G`, "MPEG transport stream"]
    ] as const
  )("tells what begins with %j", (beginning, name) => {
    assert.strictEqual(MediaKind.sniff(bytes(beginning))?.name, name)
  })

  it.each(["", "G", "hello", "RIFF\0\0\0\0WAVEfmt ", box("M4A "), "<html><svg>", "\xff\xd8"])(
    "knows nothing of what begins with %j",
    (beginning) => {
      assert.isUndefined(MediaKind.sniff(bytes(beginning)))
    }
  )

  it("notices a name that says something else, and none that says nothing of it", () => {
    const jpeg = MediaKind.sniff(bytes("\xff\xd8\xff"))
    assert.isDefined(jpeg)
    const noted = ["a.jpg", "a.JPEG", "a", "a.backup", "a.png", "a.PDF"].map((name) =>
      MediaKind.mislabelled(FilePath.make(name), jpeg)
    )
    assert.deepStrictEqual(noted.slice(0, 4), [undefined, undefined, undefined, undefined])
    assert.deepStrictEqual(noted.slice(4), ["it is called .png and is JPEG", "it is called .pdf and is JPEG"])
  })
})
