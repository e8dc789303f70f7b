import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as MediaKind from "../src/internal/media/mediaKind.ts"

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
      ["BM\x36\0\x0c\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "BMP"],
      ["\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"],
      ["\xff\x4f\xff\x51\0", "JPEG 2000"],
      ["8BPS\0\x01", "PSD"],
      ["\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\x04\0\0\x16\0\0\0", "ICO"],
      ["\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"],
      ["\xff\x0a\x7a\x1f", "JPEG XL"],
      ["II\xbc\x01", "JPEG XR"],
      ["IIU\0\x18\0", "RW2"],
      ["IIRO\x08\0", "ORF"],
      ["FUJIFILMCCD-RAW 0201", "RAF"],
      [box("crx "), "CR3"],
      ["P6\n# made\n3 2\n255\n", "PNM"],
      ["#?RADIANCE\n", "Radiance HDR"],
      ["v/1\x01\x02", "OpenEXR"],
      [`OggS${"\0".repeat(24)}\x80theora`, "Ogg"],
      [`G${" ".repeat(187)}G${" ".repeat(187)}G`, "MPEG transport stream"]
    ] as const
  )("tells what begins with %j", (beginning, name) => {
    assert.strictEqual(MediaKind.sniff(bytes(beginning))?.name, name)
  })

  it.each([
    "",
    "G",
    "hello",
    "<html><svg>",
    "\xff\xd8",
    "BM is a text",
    "P6 is, too",
    "\0\0\x02\0\0\0\0\0\x10"
  ])(
    "knows nothing of what begins with %j",
    (beginning) => {
      assert.isUndefined(MediaKind.sniff(bytes(beginning)))
    }
  )

  it.each(["RIFF\0\0\0\0WAVEfmt ", box("M4A "), "OggS\0\x7fFLAC", "fLaC"])("knows %j for a sound", (beginning) => {
    assert.strictEqual(MediaKind.sniff(bytes(beginning))?.kind, "sound")
  })

  it("notices a name that says something else, and none that says nothing of it", () => {
    const jpeg = MediaKind.sniff(bytes("\xff\xd8\xff"))
    if (jpeg === undefined) return assert.fail()
    const noted = ["a.jpg", "a.JPEG", "a", "a.backup", "a.png", "a.PDF"].map((name) =>
      MediaKind.mislabelled(FilePath.make(name), jpeg)
    )
    assert.deepStrictEqual(noted.slice(0, 4), [undefined, undefined, undefined, undefined])
    assert.deepStrictEqual(noted.slice(4), ["it is called .png and is JPEG", "it is called .pdf and is JPEG"])
  })
})
