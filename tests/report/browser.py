#!/usr/bin/env python3
"""The report page in a real browser: Debian's chromium and chromium-driver, headless, from file://, with no way to any
host. Under TANDEM_FULL alone. Screenshots go to $TANDEM_ARTIFACTS, or build/artifacts of the checkout."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "data")]
import made_run  # noqa: E402
from own_venv import SKIPPED, full_test  # noqa: E402

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND"]
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = c => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const light = c => { const [r, g, b] = rgb(c).map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b; };
const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c) && c !== 'transparent') return c; } return 'white'; };
const bad = [];
for (const e of document.querySelectorAll('body *')) {
  if (e.closest('svg, script') || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  const r = ratio(getComputedStyle(e).color, behind(e));
  if (r < 4.5) bad.push([e.tagName, e.className, e.textContent.slice(0, 30), r]);
}
for (const e of document.querySelectorAll('path.line, path.dots, path.marks, path.level')) {
  const r = ratio(getComputedStyle(e).stroke, behind(e.closest('figure')));
  if (r < 3) bad.push(['path', e.getAttribute('class'), r]);
}
return bad;"""


class Fault(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Fault(what)


def open_browser(width, mode, script=True):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": mode}]})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    resize(browser, width, 900)
    return browser


def resize(browser, width, height):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})


def check_figures(browser):
    names = []
    for node in browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
        if node.get("role", {}).get("value") in ("image", "img"):
            names.append(node.get("name", {}).get("value", ""))
    expect(len(names) > 5 and all(names), f"pictures without a name in the accessibility tree: {names}")


def check_picture(path):
    from PIL import Image
    picture = Image.open(path).convert("RGB")
    colours = picture.getcolors(1 << 24)
    expect(len(colours) >= 50, f"{path} has {len(colours)} colours")


def check_interaction(browser, data):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    svg = browser.find_element("css selector", "#loss svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    reading = browser.find_element("css selector", "#loss .reading")
    width = svg.size["width"]
    ActionChains(browser).move_to_element_with_offset(svg, int(width * 0.25), 0).perform()
    said = re.match(r"loss ([\d.]+|not finite).* at step (\d+)", reading.text)
    expect(said, f"a reading under the pointer, not '{reading.text}'")
    at = data["series"]["loss"]["step"].index(int(said[2]))
    value = data["series"]["loss"]["mean"][at]
    expect(value is not None and abs(float(said[1]) - value) < 1e-9, f"{reading.text} is not {value}")
    labels = lambda: [e.text for e in browser.find_elements("css selector", "#loss .xs span")]
    whole = labels()
    ActionChains(browser).move_to_element_with_offset(svg, -int(width * 0.2), 0).click_and_hold().move_by_offset(int(width * 0.3), 0).release().perform()
    zoomed = labels()
    expect(zoomed != whole and "zoom=" in browser.current_url, f"a drag zooms: {whole} {zoomed} {browser.current_url}")
    browser.refresh()
    expect(labels() == zoomed, "the zoom survives a reload")
    svg = browser.find_element("css selector", "#loss svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    ActionChains(browser).double_click(svg).perform()
    expect(labels() == whole, f"a double click zooms out: {labels()} {whole}")
    svg.send_keys(Keys.HOME)
    reading = browser.find_element("css selector", "#loss .reading")
    first = reading.text
    svg.send_keys(Keys.ARROW_RIGHT)
    expect("at step 1" in first and reading.text != first, f"arrow keys move the reading: {first}, {reading.text}")


def check(directory):
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: wants Debian's chromium and chromium-driver")
        return 1 if os.environ.get("CI") else SKIPPED
    run, page = made_run.make(directory / "run"), directory / "page.html"
    subprocess.run([os.environ["TANDEM_EXECUTABLE"], "report", run, "--out", page], check=True)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])["runs"][0]
    artifacts = pathlib.Path(os.environ.get("TANDEM_ARTIFACTS", HERE.parents[1] / "build/artifacts"))
    artifacts.mkdir(parents=True, exist_ok=True)
    faults = 0
    for width in (1280, 360):
        for mode in ("light", "dark"):
            for script in (True, False):
                what = f"{width} px, {mode}, JavaScript {'on' if script else 'off'}"
                browser = open_browser(width, mode, script)
                try:
                    browser.get(page.as_uri())
                    if script:
                        expect(browser.execute_script("return performance.getEntriesByType('resource').length") == 0, "a resource was asked for")
                        wide = browser.execute_script("return document.documentElement.scrollWidth")
                        expect(wide <= width, f"the page is {wide} px wide")
                        bad = browser.execute_script(CONTRAST)
                        expect(not bad, f"contrast: {bad}")
                        check_figures(browser)
                        if width == 1280:
                            check_interaction(browser, data)
                    expect(not browser.get_log("browser"), "console messages")
                    if script:
                        browser.get("about:blank")
                        browser.get(page.as_uri())
                        resize(browser, width, browser.execute_script("return document.documentElement.scrollHeight"))
                    name = artifacts / f"report-{mode}-{width}{'' if script else '-no-script'}.png"
                    browser.save_screenshot(str(name))
                    check_picture(name)
                    print(f"{what}: as it should be")
                except Fault as fault:
                    faults += 1
                    print(f"{what}: {fault}")
                finally:
                    browser.quit()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "selenium==4.27.1", "pillow"))
